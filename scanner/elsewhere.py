"""What lies in the other namespaces: pull Secrets by name and by what they cover, and equal credentials."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from scanner.keyring import Entry, Keyring


@dataclass(frozen=True, slots=True, order=True)
class Place:
    namespace: str
    secret: str


#: Places that are told of one thing.
MAX_PLACES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where something lies besides the Namespace that asks; true when it does anywhere.

    `count` places in `namespaces` Namespaces, of which `first` are the first `MAX_PLACES` in order. Not all of them:
    where thousands of Namespaces ask about the same thousands of places, the time for it would grow by their square.
    """

    first: tuple[Place, ...] = ()
    count: int = 0
    namespaces: int = 0

    def __bool__(self) -> bool:
        return self.count > 0


class _Found(NamedTuple):
    """Places in order, and in how many Namespaces they are: worked out once for all who ask."""

    places: list[Place]
    namespaces: int


#: A pattern in one of the last two parts of a host.
_VAGUE: Final = re.compile(r"[*\[][^.]*(?:\.[^.]*)?$")
_in_order = attrgetter("namespace", "secret")


class Elsewhere:
    """The pull Secrets of all namespaces by name and by what they cover, to say "it exists in kubeflow".

    Holds names, registry keys and keyed fingerprints only. Whether a person may be told a place is decided where it is
    shown.
    """

    def __init__(self) -> None:
        self._by_name: defaultdict[str, list[Place]] = defaultdict(list)
        self._by_key: defaultdict[str, list[Place]] = defaultdict(list)
        self._sharing: defaultdict[str, set[str]] = defaultdict(set)
        self._forget()

    def _forget(self) -> None:
        self._keyring: Keyring | None = None
        self._named: dict[str, _Found] = {}
        self._covering: dict[tuple[str, ...], _Found] = {}

    def add(self, namespace: str, pull_secrets: Mapping[str, Iterable[str]], fingerprints: Iterable[str] = ()) -> None:
        """`pull_secrets` and `fingerprints` as `Snapshot.pull_secret_keys` and `Snapshot.fingerprints` give them."""
        for fingerprint in fingerprints:
            self._sharing[fingerprint].add(namespace)
        for name, keys in pull_secrets.items():
            place = Place(namespace, name)
            self._by_name[name].append(place)
            for key in keys:
                self._by_key[key].append(place)
        self._forget()

    def named(self, secret: str, *, besides: str) -> Places:
        """Places of pull Secrets called `secret` outside the namespace `besides`."""
        found = self._named.get(secret)
        if found is None:
            found = self._named[secret] = _found(self._by_name.get(secret, ()))
        return _without(found, besides)

    def covering(self, image: str, *, besides: str) -> Places:
        """Places of pull Secrets with a key that covers `image`, outside the namespace `besides`."""
        if self._keyring is None:
            self._keyring = Keyring.from_entries((0, Entry(key, key, "", "")) for key in self._by_key)
        return _without(self._with_keys({match.key for match in self._keyring.lookup(image)}), besides)

    def meant_for(self, image: str, *, besides: str) -> Places:
        """As `covering`, by keys that write out the domain: one such as *.*.com covers much that nobody thought of."""
        if not self.covering(image, besides=besides) or self._keyring is None:
            return Places()
        keys = {match.key for match in self._keyring.lookup(image)}
        return _without(self._with_keys({key for key in keys if not _VAGUE.search(key.partition("/")[0])}), besides)

    def _with_keys(self, keys: Iterable[str]) -> _Found:
        in_order = tuple(sorted(keys))
        found = self._covering.get(in_order)
        if found is None:
            places = {place for key in in_order for place in self._by_key[key]}
            found = self._covering[in_order] = _found(places)
        return found

    def sharing(self, fingerprint: str, *, besides: str) -> int:
        """How many namespaces outside `besides` hold the credential with this fingerprint."""
        namespaces = self._sharing.get(fingerprint, ())
        return len(namespaces) - (besides in namespaces)


def _found(places: Iterable[Place]) -> _Found:
    in_order = sorted(places, key=_in_order)
    return _Found(in_order, len({place.namespace for place in in_order}))


def _without(found: _Found, namespace: str) -> Places:
    places = found.places
    start = end = bisect_left(places, Place(namespace, ""))
    while end < len(places) and places[end].namespace == namespace:
        end += 1
    before = places[: min(start, MAX_PLACES)]
    return Places(
        first=(*before, *places[end : end + MAX_PLACES - len(before)]),
        count=len(places) - (end - start),
        namespaces=found.namespaces - (end > start),
    )
