"""What goes wrong on the node, or with the image itself, before or after the registry was asked.

Sources: containerd ``internal/cri``, ``core/unpack`` and ``core/snapshots``; cri-o ``server/image_pull.go``;
containers/image ``copy``, ``signature`` and ``pkg/shortnames``; moby ``distribution`` and ``layer``;
distribution/reference.
"""

from __future__ import annotations

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.rule import rule

RUNTIME = (
    # containerd's image verifiers, which are programs on the node.
    rule(Cause.NODE_CONFIG, r"image verifier .{0,80}(?:blocked|returned error)", r"blocking pull of"),
    rule(
        Cause.NODE_CONFIG,
        r"unix .{0,120}\.sock",
        r"transport: error while dialing",
        r"unknown service runtime",
        r"cannot connect to the docker daemon",
        r"failed to (?:load|decode|parse) .{0,40}hosts\.toml",
        r"(?:load|open|read|parse).{0,60}(?:x509 key ?pair|ca cert|cert file|client cert|key file|certs\.d|pem data)",
        r"loading registries configuration",
        r"no (?:resolve|pull) hosts",
        r"registry \S{1,300} is blocked in|cannot use .{0,300}because it's blocked",
        r"missing (?:client certificate|key) \S{1,300} for",
        r"unable to (?:load|read) (?:ca )?cert|unable to initialize cert pool",
        r"loading .{0,40}policy\.json|open .{0,80}policy\.json",
        r"missing private key needed for decryption|failed to decrypt",
        # An alert of the server's about the certificate that the node shows.
        r"remote error: tls: (?:bad certificate|certificate required|unknown certificate authority|expired|revoked)",
        r"client sent an http request to an https server",
        r"image ?service.{0,40}not (?:ready|implemented)",
        r"getting (?:username and password|credentials).{0,200}(?:permission denied|no such file|unmarshal|"
        r"invalid character|executable)",
        r"reading json file .{0,120}(?:auth\.json|config\.json)",
        also=(Cause.TRANSIENT,),
    ),
    # CRI-O refuses what policy.json does not allow. There is no credential and no registry in this.
    rule(
        Cause.NODE_CONFIG,
        r"signaturevalidationfailed",
        r"signature validation failed",
        r"source image rejected",
        r"a signature was required, but no signature exists",
        r"rejected by policy",
        r"signature .{0,80}(?:is not accepted|not trusted|invalid|verification failed)",
        r"no matching signatures",
        r"cryptographic signature verification failed",
    ),
    rule(
        Cause.TRANSIENT,
        r"\blocked for .{0,40}unavailable",
        r"<digest> locked|\blocked: unavailable",
        r"error reading from server: eof",
        r"server is not initialized yet|runtime not ready|container runtime is down",
    ),
)

REFERENCE = (
    # The answer's header is damaged, not the name in the Pod.
    rule(Cause.REGISTRY_ERROR, r"in header not a valid digest"),
    rule(
        Cause.SHORT_NAME,
        r"short-name",
        r"short name .{0,200}(?:resol|enforc)",
        r"no registries configured while trying to pull an unqualified image",
        r"unqualified-search",
        r"unqualified image",
    ),
    rule(
        Cause.INVALID_REFERENCE,
        r"invalid reference format",
        r"couldn't parse image (?:reference|name)",
        r"failed to parse (?:image )?(?:reference|name)",
        r"failed to apply default image tag",
        r"invalidimagename",
        r"error parsing (?:image )?(?:reference|image name)",
        r"invalid (?:repository|tag|image) (?:name|format|reference)",
        r"repository name .{0,260}must (?:be lowercase|not|have)",
        r"must be lowercase",
        r"invalid (?:checksum digest|digest) (?:length|format)|unsupported digest algorithm",
        r"references with both a tag and digest are currently not supported",
        r"object required",
        r"parsing image configuration name",
        r"cannot specify 64-byte hexadecimal strings",
    ),
)

IMAGE = (
    rule(
        Cause.PLATFORM,
        r"no match for platform",
        r"no matching manifest for",
        r"no image found in (?:manifest list|image index|index)",
        r"choosing an? image|choosing image instance|choosing an? image from",
        r"image operating system .{0,40}cannot be used on this platform",
        r"cannot be used on this platform",
        r"does not match the (?:specified|expected|host) (?:platform|operating system|architecture)",
        r"operating system does not match the host operating system",
        r"windows version .{0,80}(?:no match|incompatible)|is incompatible with a .{0,40}host",
        r"no (?:supported|matching|child with) platform",
        r"cannot download image with operating system",
        r"no child with platform",
        r"exec format error",
    ),
    rule(
        Cause.MANIFEST_FORMAT,
        r"no longer supported since containerd",
        r"docker\.distribution\.manifest\.v1\+",
        r"schema ?(?:version)? ?1\b|schema1|schemaversion 1",
        r"image format v1|deprecation notice",
        r"missing signature key",
        r"accept header does not support oci",
        r"unsupported (?:manifest|mediatype|media type|(?:oci|docker )\S{0,6} media type|schema|layer|docker v1)",
        r"(?<!<)(?:manifest|schema|media ?type).{0,120}(?:is not supported|unsupported|not implemented)",
        r"no processor for media-type",
        r"mismatched image rootfs and manifest layers|layers from manifest don't match|invalid rootfs in image",
        r"encountered remote .{0,200}when fetching|mediatype in manifest should be",
        r"unexpected media ?type (?!text/)|cannot handle layers of type|unimplemented media type|invalid mediatype",
        r"not a docker or oci image|is not an image|target is not",
        r"manifest[ _]invalid|invalid manifest|invalid image manifest",
        r"unsupported: .{0,80}(?:manifest|oci|schema)",
        r"unknown (?:image )?manifest (?:type|format)|unrecognized manifest",
        r"image has no (?:layers|rootfs)|parsing manifest|unmarshall?ing manifest",
        also=(Cause.REGISTRY_ERROR,),
    ),
)

STORAGE = (
    # The download, not the disk, although the text speaks of a file.
    rule(
        Cause.CONN_TIMEOUT,
        r"happened during read: .{0,200}(?:timed out|timeout|deadline exceeded|context cancell?ed)",
        also=(Cause.CONN_BROKEN,),
    ),
    rule(
        Cause.CONN_BROKEN,
        r"happened during read: (?:read tcp|unexpected eof|http2|stream|context|digest|net/)",
        r"digest did not match|config\.json digest|error storing blob to file .{0,200}: read tcp",
        also=(Cause.REGISTRY_ERROR,),
    ),
    rule(
        Cause.NODE_STORAGE,
        r"no space left on device",
        r"not enough space",
        r"disk quota exceeded",
        r"read-only file system",
        r"input/output error",
        r"structure needs cleaning",
        r"too many open files",
        r"cannot allocate memory",
        r"failed to register layer",
        r"failed to extract layer",
        r"error processing tar file",
        r"applylayer|applying layer|apply layer error",
        r"adding layer with blob|committing the finished image|creating (?:read-write )?layer",
        r"storing blob to file",
        r"layer not known|image not known.{0,40}storage|layerdb",
        r"extraction snapshot|snapshotter|parent snapshot|snapshot .{0,120}(?:does not exist|already exists)",
        r"failed to (?:create|prepare|commit|stat) snapshot|failed to unpack",
        r"reader from content store|local content store|content digest <digest>: not found",
        r"commit failed|/ingest/|ingest .{0,80}(?:not found|no such file)",
        r"(?:insufficient|not enough) (?:uids|gids)|lchown ",
        r"creating overlay mount|error creating overlay|mount callback failed|failed to mount",
        r"metadata\.db|meta\.db|boltdb",
        r"/var/lib/(?:containerd|docker|containers|kubelet|rancher)[^\s]{0,300} ?: ?(?!.{0,40}cert)",
        r"free up .{0,60}space|freed \d+ bytes",
        r"driver .{0,20}(?:overlay|aufs|vfs|btrfs|zfs|windowsfilter).{0,40}failed",
        r"hcsshim::",
        also=(Cause.CONN_BROKEN,),
    ),
)
