"""The keyring the kubelet builds from a Pod's pull Secrets: which credentials it tries for an image, in which order.

The rules are those of Kubernetes' ``pkg/credentialprovider`` (``keyring.go``, ``secrets/secrets.go``). What a key
covers is in ``registry_key``, how a Secret is decoded in ``docker_config``; both are offered from here, so that
callers need this module only. No method needs a password: a keyring of entries whose passwords were taken away
answers the same questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from scanner.docker_config import Entry, MalformedPullSecret, parse_entries
from scanner.image import InvalidImage, parse_image
from scanner.registry_key import (
    DOCKER_HUB_KEY,
    Location,
    Mismatch,
    Pattern,
    is_docker_hub,
    locate,
    normalise_key,
    pattern_of,
    url_matches,
    why_not,
)

__all__ = [
    "Entry",
    "Keyring",
    "MalformedPullSecret",
    "Match",
    "Mismatch",
    "lookup_subject",
    "normalise_key",
    "parse_entries",
    "url_matches",
    "why_not",
]

_LONGEST_CACHED: Final = 1024


@dataclass(frozen=True, slots=True)
class Match:
    """One credential the kubelet tries.

    ``key`` is normalised (``quay.io/team``), ``raw_key`` as written with user info masked; ``secret_index`` is the
    Secret's place in the Pod's order, from 0.
    """

    key: str
    username: str
    password: str = field(repr=False)
    secret_index: int
    raw_key: str = ""


class Keyring:
    """The entries of a Pod's pull Secrets, ready to be asked about many images."""

    __slots__ = ("_by_host", "_hub", "_patterns")

    def __init__(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Take (place of the Secret, entry) in the order of the Secrets; entries the kubelet drops are passed over."""
        by_key: dict[str, list[Match]] = {}
        for secret_index, entry in entries:
            if entry.key is not None:
                match = Match(entry.key, entry.username, entry.password, secret_index, entry.raw_key)
                by_key.setdefault(entry.key, []).append(match)
        self._hub = tuple(by_key.get(DOCKER_HUB_KEY, ()))

        # The kubelet tries keys in descending order of their bytes, whichever Secret they are from; only equal keys
        # keep the Secrets' order. Python orders text by code point, which is the order of the bytes of UTF-8.
        self._by_host: dict[tuple[str, str], list[tuple[int, str, tuple[Match, ...]]]] = {}
        self._patterns: list[tuple[int, Pattern, tuple[Match, ...]]] = []
        for rank, key in enumerate(sorted(by_key, reverse=True)):
            pattern = pattern_of(key)
            if pattern is None or pattern.broken:
                continue
            matches = tuple(by_key[key])
            if pattern.globs is None:
                place = pattern.location
                self._by_host.setdefault((place.host, place.port), []).append((rank, place.path, matches))
            else:
                self._patterns.append((rank, pattern, matches))

    @classmethod
    def from_secrets(cls, secrets: Iterable[tuple[str, Mapping[str, bytes]]]) -> Keyring:
        """Build the keyring of Secrets given as (type, data) in the Pod's order.

        Raises ``MalformedPullSecret`` for the first that is broken: the kubelet then pulls none of the Pod's images.
        """
        return cls(
            (index, entry)
            for index, (secret_type, data) in enumerate(secrets)
            for entry in parse_entries(secret_type, data, secret_index=index)
        )

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[int, Entry]]) -> Keyring:
        """Build the keyring of entries parsed before: (place of the Secret, entry) in the order of the Secrets."""
        return cls(entries)

    def lookup(self, image: str) -> list[Match]:
        """Return every credential the kubelet tries for an image, in its order; none means one anonymous pull.

        ``image`` is a reference or a repository name, see ``lookup_subject``. Entries of one Secret with the same
        normalised key have no order of their own in the kubelet; here they come in the order of the file.
        """
        subject = lookup_subject(image)
        place = locate(subject)
        hits = [] if place is None else self._matching(place)
        if hits:
            return hits
        return list(self._hub) if is_docker_hub(subject) else []

    def _matching(self, place: Location) -> list[Match]:
        found = [
            (rank, matches)
            for rank, path, matches in self._by_host.get((place.host, place.port), ())
            if place.path.startswith(path)
        ]
        if self._patterns:
            found += [(rank, matches) for rank, pattern, matches in self._patterns if pattern.covers(place)]
            found.sort(key=lambda ranked: ranked[0])
        return [match for _, matches in found for match in matches]


def lookup_subject(image: str) -> str:
    """Return what the kubelet looks up for an image: its normalised name (``nginx:1`` is ``docker.io/library/nginx``).

    A string without a slash but with a dot before any tag (``quay.io``) is taken as a registry's name and returned as
    it is, as is one that is no image reference: the kubelet looks neither up, but both can be asked about. Give
    ``parse_image(...).name`` where the string is known to be an image.
    """
    return _lookup_subject(image) if len(image) > _LONGEST_CACHED else _lookup_subject_cached(image)


def _lookup_subject(image: str) -> str:
    if "/" not in image and "." in re.split("[:@]", image, maxsplit=1)[0]:
        return image
    try:
        return parse_image(image).name
    except InvalidImage:
        return image


_lookup_subject_cached = lru_cache(maxsize=16_384)(_lookup_subject)
