"""What goes wrong between the node and the registry.

Sources: Go ``net``, ``net/http``, ``crypto/tls`` and ``crypto/x509``; the texts of errno; resolvers; moby's and
containerd's checks of what arrived.
"""

from __future__ import annotations

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.rule import rule, status

PROXY = (
    # "proxyconnect" stands before whatever broke on the way to the proxy: its name, its port, its TLS.
    rule(
        Cause.PROXY,
        r"proxyconnect",
        r"proxy authentication required",
        status("407"),
        r"socks connect|socks5:",
        # Go turns a proxy's refusal of CONNECT into the bare status text, with no number.
        r"<(?:manifest|blob|token|ping)-url>\"?: (?:bad gateway|service unavailable|gateway time-?out)\W*$",
        r"invalid proxy|parse proxy|proxy url",
    ),
)

# A registry that answers with a number was reached: "504 Gateway Timeout" is no timeout of the node's.
ANSWERED = (
    rule(
        Cause.REGISTRY_ERROR, status(r"5\d\d"), r"\bstatus 5\d\d\b", r"upstream connect error", also=(Cause.TRANSIENT,)
    ),
    rule(Cause.REGISTRY_ERROR, r"error parsing http 404 response body", also=(Cause.NOT_FOUND,)),
)

NETWORK = (
    rule(
        Cause.PLAIN_HTTP,
        r"server gave http response to https client",
        r"first record does not look like a tls handshake",
        r"oversized record received",
    ),
    rule(
        Cause.TLS_NAME,
        r"doesn't contain any (?:ip|dns) sans?",
        r"cannot validate certificate for",
        r"certificate is (?:valid for|not valid for any names)",
        r"relies on legacy common name",
        r"not valid for (?:any names|the name|requested)",
        r"hostname (?:mismatch|doesn't match)",
        r"tls: unrecognized name",
        # So does a proxy or a captive portal that answers in the registry's place.
        also=(Cause.PROXY,),
    ),
    rule(
        Cause.TLS_EXPIRED,
        r"certificate has expired|certificate is expired|certificate (?:is )?not yet valid|expired certificate",
        # The node's clock is the other half of "or is not yet valid".
        also=(Cause.NODE_CONFIG,),
    ),
    rule(
        Cause.TLS_UNTRUSTED,
        r"x509:",
        r"signed by unknown authority",
        r"failed to verify certificate",
        r"certificate is not trusted|self[- ]signed certificate",
        r"unable to (?:get local issuer|verify the first) certificate|certificate verify failed",
        r"tls: (?:unknown certificate|failed to parse certificate|invalid signature|unsupported certificate)",
        # A proxy that reads along shows its own certificate.
        also=(Cause.PROXY,),
    ),
    rule(
        Cause.CONN_BROKEN,
        r"tls: (?:handshake failure|internal error|protocol version|no supported versions|server (?:selected|chose)|"
        r"(?:received )?unexpected|decrypt|bad record|error decoding)",
        r"remote error: tls",
        also=(Cause.TLS_UNTRUSTED, Cause.TLS_NAME),
    ),
    rule(
        Cause.DNS,
        r"no such host",
        r"server misbehaving",
        r"name resolution",
        r"name or service not known|nodename nor servname",
        r"getaddrinfo|no answer from dns|dnserror",
        r"could not resolve host|unable to resolve host|cannot resolve",
        r"dial (?:tcp|udp)\d?:? lookup",
        r"\blookup \S{1,300} on \S{1,80}:\d+:",
        r"\blookup \S{1,300}: (?:i/o timeout|operation was canceled|device or resource busy)",
    ),
    rule(
        Cause.CONN_REFUSED,
        r"connection refused",
        r"actively refused",
        r"registry is unavailable",
        r"registryunavailable",
    ),
    rule(
        Cause.CONN_TIMEOUT,
        r"no route to host|network is unreachable|host is (?:down|unreachable)|unreachable (?:network|host)",
        r"connect: (?:permission denied|operation not permitted|cannot assign requested address)",
        also=(Cause.CONN_REFUSED,),
    ),
    rule(
        Cause.CONN_TIMEOUT,
        r"i/o timeout",
        r"tls handshake timeout",
        r"connection timed out|operation timed out",
        r"client\.timeout|timeout exceeded",
        r"timeout awaiting response",
        r"timed out",
        r"did not properly respond after a period",
        r"context deadline exceeded|deadline exceeded",
        r"request canceled while waiting|because of no progress",
        r"no response from|timeout while|(?<!gateway )\btimeout\W*$",
        also=(Cause.CONN_BROKEN,),
    ),
    rule(
        Cause.CONN_TIMEOUT,
        r"context cancell?ed|operation was cancell?ed|request cancell?ed",
        also=(Cause.CONN_BROKEN, Cause.TRANSIENT),
    ),
    rule(
        Cause.CONN_BROKEN,
        r"connection reset|reset by peer",
        r"broken pipe",
        r"unexpected eof",
        r": eof\b",
        r"goaway",
        r"stream error|stream closed|received from peer",
        r"closed network connection|closed idle connection",
        r"transport connection broken|malformed (?:http|chunked)|connection lost|connection error: [a-z]+_",
        r"forcibly closed|connection aborted|software caused connection abort",
        r"failed size validation|unexpected commit (?:digest|size)|short read|expected number of bytes",
        r"(?:layer|manifest|config) verification failed",
        r"invalid checksum|checksum mismatch|does not match digest|digest mismatch",
        r"http2: (?:client conn|server sent|frame|timeout)",
        r"unhandled content range|unable to discard to offset|failed to discard to offset",
        also=(Cause.REGISTRY_ERROR,),
    ),
)
