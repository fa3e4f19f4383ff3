"""Image references: what the string in a Pod's ``image`` field names.

The rules are those of ``github.com/distribution/reference`` (``ParseNormalizedNamed``), which the kubelet, containerd
and CRI-O share: a name without a domain lives on Docker Hub, and the name without tag and digest is what pull
credentials are looked up for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

DOCKER_HUB: Final = "docker.io"
#: What the repositories of Docker Hub's official images begin with; all of them are public.
OFFICIAL: Final = "library/"
_LEGACY_DOCKER_HUB: Final = "index.docker.io"
_LONGEST_REPOSITORY: Final = 255

# A longer reference is parsed all the same but not remembered: the cache is bounded in entries, so its entries have
# to be small.
_LONGEST_CACHED: Final = 1024
_CACHE_SIZE: Final = 16_384

# Possessive quantifiers (++, *+) keep a hostile reference at one pass: nothing is tried twice.
_LABEL: Final = r"[a-zA-Z0-9]++(?:-++[a-zA-Z0-9]++)*+"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*+|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT: Final = r"[a-z0-9]++(?:(?:\.|__?|-++)[a-z0-9]++)*+"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*+(?:[-_+.][A-Za-z][A-Za-z0-9]*+)*+:[0-9a-fA-F]{32,}"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*+)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_JUST_TAG: Final = re.compile(_TAG)
_IMAGE_ID: Final = re.compile(r"[a-f0-9]{64}")
_DIGEST_ALGORITHM: Final = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*")
_LOWER_HEX: Final = re.compile(r"[a-f0-9]+")
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidImage(ValueError):
    """The string is no image reference; the kubelet would say ``InvalidImageName``.

    ``reason`` is the whole text: which rule was broken, without the reference itself, which may be of any length.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# A Struct, not a dataclass, as all of which a scan makes one for each container: a frozen dataclass sets its fields one
# by one through `object.__setattr__`, which takes ten to twenty times as long.
class Image(msgspec.Struct, frozen=True, gc=False):
    """A normalised image reference: ``nginx`` is ``docker.io`` + ``library/nginx``.

    ``registry`` is the domain with its port. It is ``""`` in one odd case that the grammar admits: a first segment
    with both a dot and an underscore (``my_registry.example.com/app``) is no legal domain, so the whole string is
    taken as the repository. ``tag`` is ``None`` where none was written (no ``latest`` is put in); with a digest the
    runtime ignores the tag.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """The reference without tag and digest, which the kubelet looks credentials up for."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


def parse_image(reference: str) -> Image:
    """Return the parts of an image reference as the kubelet reads it (``pkg/util/parsers.ParseImageName``).

    Raises ``InvalidImage`` for anything the kubelet would refuse as ``InvalidImageName``.
    """
    if len(reference) > _LONGEST_CACHED:
        return _parse(reference)
    # A cluster has far more tags than repositories. Which tag of the grammar it is changes no other part, so what is
    # remembered is the reference with the same one for all.
    named, colon, tag = reference.rpartition(":")
    if colon and "@" not in named and _JUST_TAG.fullmatch(tag):
        image = _parse_cached(f"{named}:tag")
        return Image(image.registry, image.repository, tag, None)
    return _parse_cached(reference)


def _parse(reference: str) -> Image:
    if _IMAGE_ID.fullmatch(reference):
        raise InvalidImage("invalid repository name, cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(reference)
    path = remainder.partition(":")[0]
    if path.lower() != path:
        raise InvalidImage("invalid reference format: repository name must be lowercase")

    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        # The path is lower-case by now, so this is for a first segment that is neither a legal domain nor a
        # lower-case name: "My_Reg.io/app".
        if _REFERENCE.fullmatch(f"{domain}/{remainder}".lower()):
            raise InvalidImage("invalid reference format: repository name must be lowercase")
        raise InvalidImage("invalid reference format")
    if len(match["path"]) > _LONGEST_REPOSITORY:
        raise InvalidImage(f"repository name must not be more than {_LONGEST_REPOSITORY} characters")
    digest: str | None = match["digest"]
    if digest is not None:
        _check_digest(digest)
    return Image(registry=match["domain"] or "", repository=match["path"], tag=match["tag"], digest=digest)


_parse_cached = lru_cache(maxsize=_CACHE_SIZE)(_parse)


def _split_domain(reference: str) -> tuple[str, str]:
    """Return domain and remainder (with tag and digest); Docker Hub where the first segment cannot be a domain."""
    first, slash, rest = reference.partition("/")
    if not slash:
        # Even "registry.example.com:5000" is then an image of Docker Hub, with a tag.
        return DOCKER_HUB, f"library/{reference}"
    if first == _LEGACY_DOCKER_HUB:
        domain, remainder = DOCKER_HUB, rest
    elif first == "localhost" or "." in first or ":" in first or first.lower() != first:
        domain, remainder = first, rest
    else:
        domain, remainder = DOCKER_HUB, reference
    if domain == DOCKER_HUB and "/" not in remainder:
        remainder = f"library/{remainder}"
    return domain, remainder


def _check_digest(digest: str) -> None:
    """Raise ``InvalidImage`` unless the kubelet links the algorithm and the value is its length in lower-case hex."""
    algorithm, _, value = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        if _DIGEST_ALGORITHM.fullmatch(algorithm) is None:
            raise InvalidImage("invalid checksum digest format")
        raise InvalidImage("unsupported digest algorithm")
    if len(value) != length:
        raise InvalidImage("invalid checksum digest length")
    if _LOWER_HEX.fullmatch(value) is None:
        raise InvalidImage("invalid checksum digest format")
