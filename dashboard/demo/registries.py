"""The registries that the demo's Pods pull from. They exist only as rules here: nothing listens anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from scanner.image import Image, InvalidImage, parse_image

__all__ = ["DEMO_PASSWORD", "REGISTRIES", "Registry", "pull_error"]

#: The password that the demo's own Harbor robots have. It opens nothing.
DEMO_PASSWORD: Final = "demo-only-not-a-real-password"  # noqa: S105
_OFFLINE: Final = "edge-registry-mirror"
_NO_CA: Final = "team-genomics"


@dataclass(frozen=True, slots=True)
class Registry:
    """`only` maps the accepted user names to their passwords (None: any name with any password that is not empty).

    `private` holds repository prefixes that need a login (("",) is all of it); `denied` maps a user name to prefixes
    it may not pull.
    """

    realm: str
    service: str
    private: tuple[str, ...] = ()
    anonymous_status: str = "401 Unauthorized"
    only: Mapping[str, str] | None = None
    denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreachable_from: frozenset[str] = frozenset()
    untrusted_from: frozenset[str] = frozenset()
    address: str = "203.0.113.20:443"

    def accepts(self, username: str, password: str) -> bool:
        """Whether a login would succeed."""
        if self.only is not None:
            return self.only.get(username) == password
        return bool(username and password)


_TEAMS: Final = (
    "vision",
    "serving",
    "forecast",
    "nlp",
    "speech",
    "robotics",
    "search",
    "ads",
    "platform",
    "edge",
    "genomics",
    "fraud",
    "recsys",
    "batch",
    "sandbox",
    "maps",
    "pricing",
    "kubeflow",
)
REGISTRIES: Final[Mapping[str, Registry]] = {
    "harbor.example.com": Registry(
        realm="https://harbor.example.com/service/token",
        service="harbor-registry",
        private=("",),
        only={f"robot${team}": DEMO_PASSWORD for team in _TEAMS},
        denied={"robot$forecast": ("research/",)},
        unreachable_from=frozenset({_OFFLINE}),
        untrusted_from=frozenset({_NO_CA}),
    ),
    "gitlab.example.com:4567": Registry(
        realm="https://gitlab.example.com/jwt/auth",
        service="container_registry",
        private=("",),
        anonymous_status="403 Forbidden",
        address="203.0.113.21:4567",
    ),
    "ghcr.io": Registry(
        "https://ghcr.io/token", "ghcr.io", private=("example-ml/",), anonymous_status="401 Unauthorized"
    ),
    "quay.io": Registry(
        "https://quay.io/v2/auth", "quay.io", private=("example-ml/",), anonymous_status="401 UNAUTHORIZED"
    ),
    "docker.io": Registry("https://auth.docker.io/token", "registry.docker.io", private=("exampleml/",)),
    "registry.k8s.io": Registry("https://registry.k8s.io/token", "registry.k8s.io"),
    "gcr.io": Registry("https://gcr.io/v2/token", "gcr.io"),
}


def pull_error(reference: str, namespace: str, credentials: Sequence[tuple[str, str]]) -> str:
    """What containerd would say about a pull with these (user name, password) pairs, in order; "" when it succeeds.

    An image of a registry that the demo does not know is pulled without trouble.
    """
    try:
        image = parse_image(reference)
    except InvalidImage:
        return f'couldn\'t parse image name "{reference}": invalid reference format'
    registry = REGISTRIES.get(image.registry)
    if registry is None:
        return ""
    errors: list[str] = []
    for username, password in credentials or [("", "")]:
        why = _why(registry, image, namespace, username, password)
        if not why:
            return ""
        errors.append(
            f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": {why}'
        )
    errors = list(dict.fromkeys(errors))
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


def _why(registry: Registry, image: Image, namespace: str, username: str, password: str) -> str:
    url = f"https://{image.registry}/v2/{image.repository}/manifests/{image.digest or image.tag or 'latest'}"
    if namespace in registry.unreachable_from:
        return f'failed to do request: Head "{url}": dial tcp {registry.address}: i/o timeout'
    if namespace in registry.untrusted_from:
        untrusted = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        return f'failed to do request: Head "{url}": {untrusted}'
    scope = quote(f"repository:{image.repository}:pull", safe="")
    asked = f"unexpected status from GET request to {registry.realm}?scope={scope}&service={registry.service}"
    if not username:
        if not any(image.repository.startswith(prefix) for prefix in registry.private):
            return ""
        return f"failed to authorize: failed to fetch anonymous token: {asked}: {registry.anonymous_status}"
    if not registry.accepts(username, password):
        return f"failed to authorize: failed to fetch oauth token: {asked}: 401 Unauthorized"
    if image.repository.startswith(registry.denied.get(username, ("\0",))):
        boilerplate = "pull access denied, repository does not exist or may require authorization"
        return f"{boilerplate}: server message: insufficient_scope: authorization failed"
    return ""
