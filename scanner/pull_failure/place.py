"""What is known of registries, and of the host that really refused: corrections to a reading of the words alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.rule import status
from scanner.pull_failure.text import ALIASES, Url, urls_in


@dataclass(frozen=True, slots=True)
class Reading:
    """What one text means: a cause, what else it can mean, and whether a credential was sent."""

    cause: Cause
    alternatives: tuple[Cause, ...] = ()
    credentials_used: bool | None = None


AUTH = frozenset({Cause.AUTH_MISSING, Cause.AUTH_DENIED, Cause.AUTH_EXPIRED, Cause.AUTH_OR_NOT_FOUND})

# These answer 401 or 403 for what does not exist, so that a stranger learns nothing.
_HIDING = re.compile(
    r"(?:^|\.)(?:docker\.io|quay\.io|ghcr\.io|gcr\.io|pkg\.dev|azurecr\.(?:io|cn|us)|jfrog\.io|gitlab\.com|amazonaws\.com)(?::\d+)?$"
    r"|(?:^|[.-])(?:gitlab|harbor|artifactory|quay|nexus)\b"
)
# A password lives for twelve hours there; HEAD answers 403 when it is over, with no text that says so.
_EXPIRING = re.compile(r"\.dkr\.ecr\.[\w.-]+$")
_REFUSAL = re.compile(status(r"4\d\d"))
# These ask nobody for a credential; a refusal there is about the place the request came from.
_OPEN = frozenset(
    {"registry.k8s.io", "k8s.gcr.io", "mcr.microsoft.com", "registry.access.redhat.com", "registry.opensuse.org"}
)
# Also open, and closed down: it answered 403 to HEAD and 200 to GET.
_BROKEN = frozenset({"registry.centos.org"})
# Where these registries send clients for a token; another host at that step is a mirror's.
_REALMS = {"docker.io": "docker.io", "quay.io": "quay.io", "ghcr.io": "ghcr.io"}

# What the registry said follows; an address in there is advice to read, not the host that was asked.
_BODY = re.compile(r" - Server message: |\n")


def by_place(reading: Reading, text: str, prepared: str, registry: str | None) -> Reading:
    """Correct a refusal by what is known of the registry, and of the host that really refused."""
    url = next((url for url in reversed(urls_in(text)) if url.kind or url.namespace), None)
    if reading.cause is Cause.REGISTRY_ERROR and url is not None and _is_foreign(url, registry):
        if _REFUSAL.search(prepared):
            return Reading(Cause.MIRROR_REFUSED, (Cause.REGISTRY_ERROR,), reading.credentials_used)
        return replace(reading, alternatives=(*reading.alternatives, Cause.MIRROR_REFUSED))
    if reading.cause not in AUTH:
        return reading
    if registry in _BROKEN:
        return Reading(Cause.REGISTRY_ERROR, (Cause.AUTH_DENIED,))
    named = url is not None and bool(url.namespace) and _is_foreign(url, registry)
    if registry in _OPEN and reading.credentials_used is None and not named:
        return Reading(Cause.GEO_OR_IP_BLOCK, (Cause.AUTH_DENIED,))
    if url is not None and _is_foreign(url, registry):
        return Reading(
            Cause.MIRROR_REFUSED, (reading.cause, Cause.AUTH_DENIED, Cause.AUTH_MISSING), reading.credentials_used
        )
    urls = urls_in(_BODY.split(text, maxsplit=1)[0])
    if "httpreadseeker" in prepared and urls and registry is not None:
        host = urls[-1].host
        if ALIASES.get(host, host) != registry:
            # A CDN's address is signed by the registry; the credential was accepted a step earlier.
            return Reading(Cause.GEO_OR_IP_BLOCK, (reading.cause,), reading.credentials_used)
    alternatives = reading.alternatives
    if registry is not None and _HIDING.search(registry):
        alternatives = (*alternatives, Cause.NOT_FOUND)
    if registry is not None and "403" in prepared and _EXPIRING.search(registry):
        alternatives = (*alternatives, Cause.AUTH_EXPIRED)
    if "403" in prepared:
        alternatives = (*alternatives, Cause.GEO_OR_IP_BLOCK)
    return replace(reading, alternatives=alternatives)


def _is_foreign(url: Url, registry: str | None) -> bool:
    if url.namespace:
        return ALIASES.get(url.host, url.host) != ALIASES.get(url.namespace, url.namespace)
    if registry is None:
        return False
    host = ALIASES.get(url.host, url.host)
    if url.kind in ("manifest", "ping") or (url.kind == "blob" and url.is_api):
        return host != registry
    realm = _REALMS.get(registry)
    return url.kind == "token" and realm is not None and host != realm and not host.endswith(f".{realm}")
