"""Why a Pod is not running, as a closed list of causes and the words the pages use for each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What went wrong, as far as the text proves it. Stored and sent to other programs, so a value never changes."""

    AUTH_MISSING = "auth_missing"
    AUTH_DENIED = "auth_denied"
    AUTH_EXPIRED = "auth_expired"
    AUTH_OR_NOT_FOUND = "auth_or_not_found"
    PULL_SECRET_MISSING = "pull_secret_missing"  # noqa: S105 - the name of a cause
    NODE_AUTH = "node_auth"
    MIRROR_REFUSED = "mirror_refused"
    GEO_OR_IP_BLOCK = "geo_or_ip_block"
    NOT_FOUND = "not_found"
    NOT_FOUND_BLOB = "not_found_blob"
    PLATFORM = "platform"
    MANIFEST_FORMAT = "manifest_format"
    INVALID_REFERENCE = "invalid_reference"
    SHORT_NAME = "short_name"
    NEVER_POLICY = "never_policy"
    RATE_LIMIT = "rate_limit"
    KUBELET_THROTTLE = "kubelet_throttle"
    DNS = "dns"
    CONN_REFUSED = "conn_refused"
    CONN_TIMEOUT = "conn_timeout"
    CONN_BROKEN = "conn_broken"
    PROXY = "proxy"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_EXPIRED = "tls_expired"
    TLS_NAME = "tls_name"
    PLAIN_HTTP = "plain_http"
    REGISTRY_ERROR = "registry_error"
    NODE_CONFIG = "node_config"
    NODE_STORAGE = "node_storage"
    ENV_SECRET_MISSING = "env_secret_missing"  # noqa: S105 - the name of a cause
    ENV_KEY_MISSING = "env_key_missing"
    MOUNT_SECRET_MISSING = "mount_secret_missing"  # noqa: S105 - the name of a cause
    MOUNT_KEY_MISSING = "mount_key_missing"
    MOUNT_TIMEOUT = "mount_timeout"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"

    @property
    def is_credential(self) -> bool | None:
        """True when a credential of the Namespace is at fault, False when none can help, None when that is open."""
        return _WORDS[self].is_credential

    @property
    def label(self) -> str:
        """A few words for a cell or a list, lower case, no full stop."""
        return _WORDS[self].label

    @property
    def advice(self) -> str:
        """One sentence that says what to do."""
        return _WORDS[self].advice

    @property
    def sentence(self) -> str:
        """One sentence that says what happened, with ``{registry}``, ``{secret}`` and ``{key}`` to be filled."""
        return _WORDS[self].sentence


@dataclass(frozen=True, slots=True)
class _Words:
    is_credential: bool | None
    label: str
    sentence: str
    advice: str


_WORDS: dict[Cause, _Words] = {
    Cause.AUTH_MISSING: _Words(
        True,
        "no credential was used",
        "{registry} asked for a credential and none was sent.",
        "Give the Pod's ServiceAccount a pull Secret whose entry matches this registry, and restart the Pod.",
    ),
    Cause.AUTH_DENIED: _Words(
        True,
        "credential refused",
        "{registry} refused the credential, or it has no right to pull this repository.",
        "Replace the credential in the pull Secret, or give its account the right to pull this repository.",
    ),
    Cause.AUTH_EXPIRED: _Words(
        True,
        "credential expired",
        "{registry} says the credential has expired.",
        "Issue a new credential and put it into the pull Secret.",
    ),
    Cause.AUTH_OR_NOT_FOUND: _Words(
        None,
        "private or misspelt",
        "{registry} does not tell whether the image is private, misspelt or absent.",
        "Check the spelling of the image first, then whether the pull Secret's account may pull it.",
    ),
    Cause.PULL_SECRET_MISSING: _Words(
        True,
        "pull Secret missing",
        "The Pod names a pull Secret that the Namespace does not have: {secret}.",
        "Create the Secret in this Namespace, or remove its name from imagePullSecrets.",
    ),
    Cause.NODE_AUTH: _Words(
        False,
        "node credential refused",
        "The node could not pull the Pod's sandbox image from {registry}: its own credential is missing or refused.",
        "Ask the people who run the nodes to repair the node's registry credential; a pull Secret cannot help.",
    ),
    Cause.MIRROR_REFUSED: _Words(
        False,
        "mirror refused",
        "A mirror of {registry} that is configured on the node refused the request.",
        "Ask the people who run the nodes to repair the mirror or its credential.",
    ),
    Cause.GEO_OR_IP_BLOCK: _Words(
        False,
        "blocked by place or address",
        "The request to {registry} was refused because of where it came from, not because of a credential.",
        "Allow the nodes' addresses at the registry or in the firewall, or pull through a mirror.",
    ),
    Cause.NOT_FOUND: _Words(
        False,
        "image not found",
        "{registry} does not have this repository, tag or digest.",
        "Correct the image name or tag, or push the image.",
    ),
    Cause.NOT_FOUND_BLOB: _Words(
        False,
        "layer not found",
        "{registry} has the image's manifest but not one of its layers.",
        "Push the image again, or clear the registry's cache of it.",
    ),
    Cause.PLATFORM: _Words(
        False,
        "not for this platform",
        "The image exists at {registry}, but not for this node's platform.",
        "Build the image for the node's architecture, or schedule the Pod on a node that matches.",
    ),
    Cause.MANIFEST_FORMAT: _Words(
        False,
        "image format not supported",
        "The node's container runtime cannot read this image's format.",
        "Rebuild and push the image with a current build tool.",
    ),
    Cause.INVALID_REFERENCE: _Words(
        False,
        "not an image name",
        "The image field does not hold a valid image name.",
        "Correct the image field: no scheme, lower case repository, no blanks, no unfilled placeholder.",
    ),
    Cause.SHORT_NAME: _Words(
        False,
        "image name has no registry",
        "The image name has no registry, and the node does not know where to look for it.",
        "Write the image name with its registry, for example docker.io/library/nginx.",
    ),
    Cause.NEVER_POLICY: _Words(
        None,
        "may not be pulled or used",
        "The image is not usable on the node, and the pull policy does not let the node fetch it.",
        "Load the image on the node, change imagePullPolicy, or give the Pod the pull Secret that the image needs.",
    ),
    Cause.RATE_LIMIT: _Words(
        None,
        "rate limit",
        "{registry} answered that too many requests were made.",
        "Wait, pull with a credential that has a higher limit, or use a mirror.",
    ),
    Cause.KUBELET_THROTTLE: _Words(
        False,
        "kubelet limits its pulls",
        "The kubelet starts no more pulls at the moment; the registry was not asked.",
        "Wait for the next try; raise registryPullQPS and registryBurst on the node if it happens often.",
    ),
    Cause.DNS: _Words(
        False,
        "name not resolved",
        "The node could not resolve the registry's name.",
        "Check the spelling of the registry's host and the node's DNS.",
    ),
    Cause.CONN_REFUSED: _Words(
        False,
        "connection refused",
        "Nothing accepted the node's connection to the registry.",
        "Check that the registry is running and that its host and port are right.",
    ),
    Cause.CONN_TIMEOUT: _Words(
        False,
        "no answer in time",
        "The registry could not be reached, or did not answer in time.",
        "Check the route and the firewall between the nodes and the registry.",
    ),
    Cause.CONN_BROKEN: _Words(
        False,
        "connection broke off",
        "The connection to the registry broke off, or the data arrived damaged.",
        "Try again; if it stays, check load balancers, firewalls and the network's MTU on the way to the registry.",
    ),
    Cause.PROXY: _Words(
        False,
        "proxy failed",
        "The node's HTTP proxy could not be used to reach the registry.",
        "Check HTTPS_PROXY and NO_PROXY of the node's container runtime, and the proxy itself.",
    ),
    Cause.TLS_UNTRUSTED: _Words(
        False,
        "certificate not trusted",
        "The node does not trust the registry's certificate.",
        "Install the registry's certificate authority on the nodes.",
    ),
    Cause.TLS_EXPIRED: _Words(
        False,
        "certificate expired",
        "The registry's certificate has expired or is not yet valid.",
        "Renew the registry's certificate, and check the node's clock.",
    ),
    Cause.TLS_NAME: _Words(
        False,
        "certificate for another name",
        "The registry's certificate is not for the name or address that the image uses.",
        "Use a name that the certificate holds, or issue a certificate with this name.",
    ),
    Cause.PLAIN_HTTP: _Words(
        False,
        "registry speaks no TLS",
        "The registry answered without TLS and the node insists on it.",
        "Put TLS in front of the registry, or declare it insecure in the node's container runtime.",
    ),
    Cause.REGISTRY_ERROR: _Words(
        False,
        "registry error",
        "{registry} answered with an error of its own.",
        "Look at the registry's status or logs, and try again.",
    ),
    Cause.NODE_CONFIG: _Words(
        False,
        "node settings",
        "The node's own settings or its container runtime stand in the way.",
        "Ask the people who run the nodes to look at the kubelet's and the container runtime's settings.",
    ),
    Cause.NODE_STORAGE: _Words(
        False,
        "node storage",
        "The node could not store or unpack the image.",
        "Free disk space on the node, or repair its image store; pull again.",
    ),
    Cause.ENV_SECRET_MISSING: _Words(
        True,
        "Secret missing",
        "An environment variable needs a Secret that the Namespace does not have: {secret}.",
        "Create the Secret in this Namespace, or correct its name in the manifest.",
    ),
    Cause.ENV_KEY_MISSING: _Words(
        True,
        "key missing in Secret",
        "An environment variable needs the key {key}, which Secret {secret} does not have.",
        "Add the key to the Secret, or correct its name in the manifest.",
    ),
    Cause.MOUNT_SECRET_MISSING: _Words(
        True,
        "Secret missing",
        "A volume needs a Secret that the Namespace does not have: {secret}.",
        "Create the Secret in this Namespace, or correct its name in the manifest.",
    ),
    Cause.MOUNT_KEY_MISSING: _Words(
        True,
        "key missing in Secret",
        "A volume needs the key {key}, which its Secret does not have.",
        "Add the key to the Secret, or correct the volume's items.",
    ),
    Cause.MOUNT_TIMEOUT: _Words(
        False,
        "volumes not ready",
        "The kubelet gave up waiting for the Pod's volumes; this text does not say which one failed or why.",
        "Look for the FailedMount event that names the volume.",
    ),
    Cause.TRANSIENT: _Words(
        False,
        "passes by itself",
        "The kubelet was not ready yet; this usually passes by itself.",
        "Wait; look again if the Pod has not started after a few minutes.",
    ),
    Cause.UNKNOWN: _Words(
        None,
        "cause not known",
        "The message does not tell the cause.",
        "Read the message itself and the Pod's events.",
    ),
}
