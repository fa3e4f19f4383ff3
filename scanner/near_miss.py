"""Registry keys that only just miss an image: which key a person meant, and what keeps the kubelet from using it.

What covers an image is decided in `registry_key`, to the letter. This module is about people: a key without the port,
in capitals, with a path of its own, of a neighbouring host. It names the likely key; it never says that a key covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from scanner.image import DOCKER_HUB, Image
from scanner.keyring import Mismatch, normalise_key, url_matches, why_not

#: Longer keys are no slip of the hand, and comparing them letter by letter is dear.
_LONGEST: Final = 300
_DOCKER_HUB_LOGIN: Final = "https://index.docker.io/v1/"
_DOCKER_HUB_NAMES: Final = frozenset(
    {
        "auth.docker.io",
        "docker.com",
        "hub.docker.com",
        "hub.docker.io",
        "index.docker.com",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.docker.com",
        "registry.docker.io",
        "registry.hub.docker.com",
        "www.docker.com",
        "*.docker.io",
    }
)
#: Registries that many people use side by side: a key for one of them is meant for it, however alike the names are.
WELL_KNOWN: Final = frozenset(
    {
        "docker.io",
        "gcr.io",
        "ghcr.io",
        "icr.io",
        "lscr.io",
        "mcr.microsoft.com",
        "nvcr.io",
        "public.ecr.aws",
        "quay.io",
        "registry.access.redhat.com",
        "registry.gitlab.com",
        "registry.k8s.io",
        "registry.redhat.io",
    }
)
#: Below these each first label is another customer's registry.
_SHARED: Final = ("azurecr.io", "pkg.dev", "gcr.io", "amazonaws.com", "jfrog.io", "aliyuncs.com", "ocir.io", "icr.io")
_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_TAG: Final = re.compile(r"(?<=/)([^/:@]+)(?::[\w.-]+)?(?:@[\w:.+-]+)?$")


class Miss(IntEnum):
    """How a key misses, what is surest to be meant for the image first."""

    SPELLING = 1
    PORT = 2
    DOCKER_HUB = 3
    PATH = 4
    GLOB = 5
    SUBDOMAIN = 6
    TYPO = 7
    NEIGHBOUR = 8

    @property
    def is_about_host(self) -> bool:
        """The key may be right for another registry."""
        return self in (Miss.PORT, Miss.SUBDOMAIN, Miss.TYPO, Miss.NEIGHBOUR)


@dataclass(frozen=True, slots=True)
class NearMiss:
    """`key` as written; `should_be` the key that was probably meant; `words` what is wrong: "it has no port"."""

    kind: Miss
    key: str
    should_be: str
    words: str


def near_miss(raw_key: str, key: str | None, image: Image) -> NearMiss | None:
    """How a key misses `image` by little; None if it covers the image, or is for something else altogether.

    `raw_key` and `key` are those of a docker config entry: as written, and normalised (None: the kubelet drops it).
    """
    if len(raw_key) > _LONGEST or not image.registry or _covers(key, image.name):
        return None
    return _near_miss(raw_key, key, image)


@lru_cache(maxsize=4096)
def _near_miss(raw_key: str, key: str | None, image: Image) -> NearMiss | None:
    cleaned = raw_key
    said: list[str] = []
    for better, words in _corrections(raw_key, image):
        cleaned = better
        said.append(words)
        if _covers(normalise_key(cleaned), image.name):
            return NearMiss(Miss.SPELLING, raw_key, _meant(cleaned, image), _joined(said))
    normalised = normalise_key(cleaned)
    if normalised is None:
        return None
    found = _elsewhere(normalised, image)
    if found is None:
        return None
    kind, should_be, words = found
    return NearMiss(kind, raw_key, should_be, _joined([*said, words]))


def _covers(key: str | None, name: str) -> bool:
    return key is not None and why_not(key, name) in (None, Mismatch.ONLY_FALLBACK)


def _joined(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])}, and {said[-1]}"


def _meant(cleaned: str, image: Image) -> str:
    return image.registry if "*" in cleaned else cleaned


def _corrections(raw_key: str, image: Image) -> Iterator[tuple[str, str]]:
    """(the key with one more slip put right, what the slip was), each on top of those before."""
    text = raw_key.strip(" \t\r\n\v\f\"'\u00a0\u200b\ufeff")
    if text != raw_key:
        yield text, "it has white space or quotation marks around it"
    scheme = _SCHEME.match(text)
    if scheme and scheme[0] not in ("https://", "http://"):
        text = text[scheme.end() :]
        yield text, f"it begins with {scheme[0]}, and the kubelet takes off only https:// and http://, in small letters"
    if (lower := text.lower()) != text:
        text = lower
        yield text, "it is not in small letters"
    if "?" in text:
        text = text.replace("?", "*")
        yield text, "it has a ?, where a URL's host ends; only * stands for other letters"
    if ":*" in text:
        port = image.registry.partition(":")[2]
        text = text.replace(":*", f":{port}" if port else "")
        yield text, "a port cannot be a pattern"
    bare = text.removeprefix("https://").removeprefix("http://")
    host, slash, path = bare.partition("/")
    if host.endswith("."):
        host = host.rstrip(".")
        yield (text := f"{host}{slash}{path}"), "it has a dot after the host name"
    if path in ("v1", "v2"):
        slash, path = "", ""
        yield (text := host), "it ends in /v1 or /v2, which the kubelet takes off only with a slash after it"
    if path not in ("v1/", "v2/") and path.endswith("/"):
        path = path.rstrip("/")
        yield (text := f"{host}{slash}{path}"), "it ends in a slash, so it covers only what is below"
    if slash and (bare := _TAG.sub(r"\1", f"/{path}")[1:]) != path:
        yield f"{host}/{bare}", "it has a tag or digest, which no image has when its key is looked up"


def _elsewhere(key: str, image: Image) -> tuple[Miss, str, str] | None:
    """(kind, likely key, words) for a well-formed key whose host, port or path is not the image's."""
    address, _, path = key.partition("/")
    host, _, port = address.partition(":")
    wanted, _, wanted_port = image.registry.partition(":")
    if image.registry == DOCKER_HUB and host in _DOCKER_HUB_NAMES:
        return Miss.DOCKER_HUB, _DOCKER_HUB_LOGIN, "it is not a name under which the kubelet finds Docker Hub's login"
    if url_matches(host, wanted) and host:
        if port != wanted_port:
            return Miss.PORT, image.registry, _about_port(port, wanted_port)
        return Miss.PATH, _common_path(path, image), f"it covers only what begins with /{path}"
    found = _other_host(host, wanted)
    return None if found is None else (found[0], image.registry, found[1])


def _about_port(port: str, wanted: str) -> str:
    if not port:
        return f"it has no port, the images name {wanted}; no port is a default"
    if not wanted:
        return f"it has the port {port}, the images name none; no port is a default"
    return f"it has the port {port}, the images name {wanted}"


def _common_path(path: str, image: Image) -> str:
    """The folders that key and image share; else the first of the image."""
    repository = image.repository.split("/")
    shared: list[str] = []
    for mine, theirs in zip(path.split("/"), repository[:-1], strict=False):
        if mine != theirs:
            break
        shared.append(mine)
    return "/".join([image.registry, *(shared or repository[:-1][:1])])


def _other_host(host: str, wanted: str) -> tuple[Miss, str] | None:
    labels, wanted_labels = host.split("."), wanted.split(".")
    if len(labels) < 2 or len(wanted_labels) < 2:
        return (Miss.TYPO, "the host is spelt otherwise") if _is_typo(host, wanted) else None
    if "*" in host:
        tail = host.rpartition("*")[2]
        if tail.count(".") >= 2 and f".{wanted}".endswith(tail):
            return Miss.GLOB, "a * stands for exactly one part of a host name"
        return None
    if wanted.endswith(f".{host}"):
        return Miss.SUBDOMAIN, f"a key for {host} does not cover hosts below it"
    if host.endswith(f".{wanted}"):
        return Miss.SUBDOMAIN, "its host is one below the images'"
    if host in WELL_KNOWN and wanted in WELL_KNOWN:
        return None
    parent = wanted.partition(".")[2]
    is_customers = any(parent == shared or parent.endswith(f".{shared}") for shared in _SHARED)
    different = [place for place, pair in enumerate(zip(labels, wanted_labels, strict=False)) if len(set(pair)) > 1]
    if not is_customers and _is_typo(host, wanted):
        return Miss.TYPO, "the host is spelt otherwise"
    is_sibling = len(labels) == len(wanted_labels) >= 3 and len(different) == 1 and different[0] < len(labels) - 2
    if not is_sibling or (is_customers and different == [0]) or wanted_labels[-2] in _SECOND_LEVEL:
        return None
    return Miss.NEIGHBOUR, "the images name another host of the same domain"


def _is_typo(host: str, wanted: str) -> bool:
    """One or two slips: a letter too many, too few, another, or two exchanged (optimal string alignment)."""
    most = 1 if min(len(host), len(wanted)) < 10 else 2
    if abs(len(host) - len(wanted)) > most or min(len(host), len(wanted)) < 5:
        return False
    before: list[int] = []
    last = list(range(len(wanted) + 1))
    for i, mine in enumerate(host, start=1):
        row = [i]
        for j, theirs in enumerate(wanted, start=1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (mine != theirs))
            if i > 1 and j > 1 and mine == wanted[j - 2] and host[i - 2] == theirs:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return 0 < last[-1] <= most
