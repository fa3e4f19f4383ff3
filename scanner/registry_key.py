"""Registry keys of docker configs: what one means to the kubelet, and whether it covers an image.

The rules are those of Kubernetes' ``pkg/credentialprovider/keyring.go``, which leans on Go's ``net/url``,
``net.SplitHostPort`` and ``filepath.Match``; their peculiarities decide which Secret is used, so they are followed to
the letter. Go 1.26 began to refuse hosts that earlier ones took ("[" inside a host name, several colons); the older,
wider reading is kept here, because clusters on it are what most people run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from string import ascii_letters, digits
from typing import Final
from urllib.parse import unquote

DOCKER_HUB_KEY: Final = "index.docker.io"

_SCHEMES: Final = ("https://", "http://")
_CACHE_SIZE: Final = 16_384
_LONGEST_CACHED: Final = 1024

# What nearly every key and image looks like; nothing in it is special to a URL.
_PLAIN: Final = re.compile(r"([A-Za-z0-9.-]*+)(?::([0-9]*+))?(/[A-Za-z0-9._/-]*+)?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})")
_BAD_USERINFO: Final = re.compile(r"[^A-Za-z0-9\-._:~!$&'()*+,;=%@]")
_HOST_PUNCTUATION: Final = "!$&'()*+,;=:[]<>\"-_.~"
_HOST_CHARACTER: Final = rf"[A-Za-z0-9{re.escape(_HOST_PUNCTUATION)}\x80-\U0010ffff]"
# In a host only bytes past ASCII may be percent-encoded, and "%25" (RFC 6874); in an IPv6 zone only what may stand
# there bare, and a space.
_HOST: Final = re.compile(rf"(?:{_HOST_CHARACTER}|%25|%[89a-fA-F][0-9a-fA-F])*+")
_ZONE_ESCAPES: Final = "|".join(
    f"{ord(character):02x}" for character in f" %{ascii_letters}{digits}{_HOST_PUNCTUATION}"
)
_ZONE: Final = re.compile(rf"(?:{_HOST_CHARACTER}|%(?:{_ZONE_ESCAPES}))*+", re.IGNORECASE)
_PORT: Final = re.compile(r"(?::[0-9]*)?")


class Mismatch(StrEnum):
    """Why a key does not cover an image; the first that holds, in this order."""

    DROPPED = "dropped"  # the key is no URL, so the kubelet ignores the entry
    ONLY_FALLBACK = "only_fallback"  # index.docker.io: used for a Docker Hub image when no key of any Secret matches
    BAD_PATTERN = "bad_pattern"  # a wildcard that filepath.Match cannot read
    HOST_LABELS = "host_labels"  # another number of dot-separated parts; a * never spans a dot
    HOST = "host"
    PORT = "port"  # ports are compared as text; there is no default
    PATH = "path"  # host and port agree, the image's path does not begin with the key's


class InvalidKey(ValueError):
    """The key is no URL by Go's rules; the text says why and holds nothing of the key."""


# Of filepath.Match's syntax a host can hold only the star and character classes: "?" begins the query, "\" and "^" are
# refused in a host. A pattern is one item for each character it wants: the ranges that may hold it, None for a star.
_Glob = tuple[tuple[tuple[str, str], ...] | None, ...]
_STAR: Final[_Glob] = (None,)
_GLOB_ITEM: Final = r"\*|\[(?:[^\]-](?:-[^\]-])?)++\]|[^*\[]"
_GLOB_ITEMS: Final = re.compile(_GLOB_ITEM)
_GLOB: Final = re.compile(rf"(?:{_GLOB_ITEM})*+")  # one pass, where findall would try every "[" of a hostile label
_RANGE: Final = re.compile(r".(?:-.)?")


@dataclass(frozen=True, slots=True)
class Location:
    """A host, port and path, taken apart as the kubelet does before it compares them."""

    host: str
    port: str
    labels: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A key made ready for matching.

    ``globs`` has a text for each label without a wildcard, which is compared as it stands, and is ``None`` where the
    host has no wildcard at all. ``broken`` says that a label is no readable pattern: such a key never matches.
    """

    location: Location
    globs: tuple[str | _Glob, ...] | None
    broken: bool

    def covers(self, image: Location) -> bool:
        """Say whether the kubelet would match this key with the image."""
        mine = self.location
        if self.broken or mine.port != image.port or not image.path.startswith(mine.path):
            return False
        return self._covers_host(image)

    def mismatch(self, image: Location) -> Mismatch | None:
        """Return why the key does not cover the image, ``None`` if it does."""
        mine = self.location
        if self.broken:
            return Mismatch.BAD_PATTERN
        if len(mine.labels) != len(image.labels):
            return Mismatch.HOST_LABELS
        if not self._covers_host(image):
            return Mismatch.HOST
        if mine.port != image.port:
            return Mismatch.PORT
        return None if image.path.startswith(mine.path) else Mismatch.PATH

    def _covers_host(self, image: Location) -> bool:
        if self.globs is None:
            return self.location.host == image.host
        return len(self.globs) == len(image.labels) and all(map(_glob_matches, self.globs, image.labels))


def normalise_key(key: str) -> str | None:
    """Return a key as the kubelet files it (``https://quay.io/v1/`` is ``quay.io``), ``None`` if it drops it."""
    try:
        return parse_key(key)
    except InvalidKey:
        return None


def parse_key(key: str) -> str:
    """Return a registry key as the kubelet files it; raise ``InvalidKey`` if it drops the key."""
    if len(key) > _LONGEST_CACHED or "@" in key:  # what stands before an @ may be a password, which must not linger
        return _parse_key(key)
    return _parse_key_cached(key)


def _parse_key(key: str) -> str:
    host, path = _parse_url(key if key.startswith(_SCHEMES) else f"https://{key}")
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return host if path == "/" else host + path


def url_matches(key: str, image: str) -> bool:
    """Say whether a key covers an image by its URL alone (``URLsMatchStr``), without the fallback to Docker Hub's key.

    ``key`` is a normalised one; if it still has its scheme it is normalised first. ``image`` is a repository name
    without tag and digest.
    """
    pattern, location = _pattern_as_given(key), locate(image)
    return pattern is not None and location is not None and pattern.covers(location)


def why_not(key: str | None, image: str) -> Mismatch | None:
    """Return why a key (see ``url_matches``; ``None`` if dropped) does not cover an image, ``None`` if it does."""
    pattern, location = None if key is None else _pattern_as_given(key), locate(image)
    if pattern is None:
        return Mismatch.DROPPED
    mismatch = Mismatch.HOST if location is None else pattern.mismatch(location)
    if mismatch is not None and key is not None and is_docker_hub(image) and _normalised(key) == DOCKER_HUB_KEY:
        return Mismatch.ONLY_FALLBACK
    return mismatch


def _normalised(key: str) -> str | None:
    return normalise_key(key) if key.startswith(_SCHEMES) else key


def _pattern_as_given(key: str) -> Pattern | None:
    normalised = _normalised(key)
    return None if normalised is None else pattern_of(normalised)


def is_docker_hub(image: str) -> bool:
    """Say whether the kubelet falls back to Docker Hub's credentials for an image (``isDefaultRegistryMatch``).

    The test is only "no dot and no colon before the first slash", so ``localhost/app`` passes it too.
    """
    first, slash, _ = image.partition("/")
    if not first:
        return False
    return not slash or first in ("docker.io", DOCKER_HUB_KEY) or not ("." in first or ":" in first)


def locate(schemeless: str) -> Location | None:
    """Take ``host[:port][/path]`` apart; ``None`` if it is no URL. Remembers short ones."""
    return _locate(schemeless) if len(schemeless) > _LONGEST_CACHED else _locate_cached(schemeless)


def pattern_of(key: str) -> Pattern | None:
    """Make a normalised key ready for matching; ``None`` if it is no URL. Remembers short ones."""
    return _pattern_of(key) if len(key) > _LONGEST_CACHED else _pattern_of_cached(key)


def _locate(schemeless: str) -> Location | None:
    if plain := _PLAIN.fullmatch(schemeless):
        host, port, path = plain[1], plain[2] or "", plain[3] or ""
        return Location(host=host, port=port, labels=tuple(host.split(".")), path=path)
    try:
        address, path = _parse_url(f"https://{schemeless}")
    except InvalidKey:
        return None
    host, port = _split_port(address)
    return Location(host=host, port=port, labels=tuple(host.split(".")), path=path)


def _pattern_of(key: str) -> Pattern | None:
    # A normalised key is parsed a second time, as the kubelet does: what percent-decoding brought to light may hide
    # or spoil it now.
    location = locate(key)
    if location is None:
        return None
    if "*" not in location.host and "[" not in location.host:
        return Pattern(location, globs=None, broken=False)
    globs = tuple(_read_glob(label) for label in location.labels)
    readable = tuple(glob for glob in globs if glob is not None)
    return Pattern(location, globs=readable, broken=len(readable) != len(globs))


_parse_key_cached = lru_cache(maxsize=_CACHE_SIZE)(_parse_key)
_locate_cached = lru_cache(maxsize=_CACHE_SIZE)(_locate)
_pattern_of_cached = lru_cache(maxsize=_CACHE_SIZE)(_pattern_of)


def _parse_url(url: str) -> tuple[str, str]:
    """Return host (with port) and decoded path of an http(s) URL as ``url.Parse``; raise ``InvalidKey`` if it fails."""
    url, _, fragment = url.partition("#")
    if _CONTROL.search(url):
        raise InvalidKey("it holds a control character")
    rest = url.partition("://")[2].partition("?")[0]
    authority, slash, tail = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    host = _parse_host(host)
    if at and _BAD_USERINFO.search(userinfo):
        raise InvalidKey("invalid user name before the @")
    if any(_BAD_ESCAPE.search(part) for part in (userinfo, tail, fragment)):
        raise InvalidKey("a % is not followed by two hexadecimal digits")
    return host, slash + _decode(tail)


def _parse_host(host: str) -> str:
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            raise InvalidKey("missing ] in the host")
        port = host[end + 1 :]
    else:
        end = -1
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    if not _PORT.fullmatch(port):
        raise InvalidKey("the port is not a number")
    zone = host.find("%25", 0, end) if end >= 0 else -1
    if zone >= 0:
        valid = _HOST.fullmatch(host[:zone]) and _ZONE.fullmatch(host[zone:end]) and _HOST.fullmatch(host[end:])
    else:
        valid = _HOST.fullmatch(host)
    if not valid:
        raise InvalidKey("invalid character in the host name")
    return _decode(host)


def _decode(text: str) -> str:
    # Go keeps bytes that are no UTF-8. No valid image name has any, so the replacement character matches as little as
    # they would.
    return unquote(text, errors="replace") if "%" in text else text


def _split_port(address: str) -> tuple[str, str]:
    """Return host and port as ``net.SplitHostPort``; where that fails the whole is the host, as the kubelet takes it.

    So ``[fc00::1]`` without a port keeps its brackets (and is then a character class), and a host with ``[0-9]``
    never has a port.
    """
    colon = address.rfind(":")
    if colon < 0:
        return address, ""
    if address.startswith("["):
        end = address.find("]")
        if end + 1 != colon:
            return address, ""
        stray = "[" in address[1:] or "]" in address[colon:]
        host = address[1:end]
    else:
        host = address[:colon]
        stray = ":" in host or "[" in address or "]" in address
    return (address, "") if stray else (host, address[colon + 1 :])


def _read_glob(label: str) -> str | _Glob | None:
    """Read one label as a ``filepath.Match`` pattern; ``None`` if it is a bad one, which then never matches."""
    if "*" not in label and "[" not in label:
        return label
    if not _GLOB.fullmatch(label):
        return None
    return tuple(
        None
        if item == "*"
        else tuple((span[0], span[-1]) for span in _RANGE.findall(item[1:-1] if len(item) > 1 else item))
        for item in _GLOB_ITEMS.findall(label)
    )


def _glob_matches(glob: str | _Glob, text: str) -> bool:
    """Match a whole label; on failure goes back to the last star only, so time is at most pattern times text."""
    if isinstance(glob, str):
        return glob == text
    if glob == _STAR:
        return True
    at = item = 0
    star = star_at = -1
    while at < len(text):
        if item < len(glob):
            wanted = glob[item]
            if wanted is None:
                star, star_at = item, at
                item += 1
                continue
            if any(low <= text[at] <= high for low, high in wanted):
                item += 1
                at += 1
                continue
        if star < 0:
            return False
        star_at += 1
        item, at = star + 1, star_at
    return all(wanted is None for wanted in glob[item:])
