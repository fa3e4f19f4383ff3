"""What lies in the other namespaces: pull Secrets by name and by what they cover, and equal credentials."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from scanner.keyring import Entry, Keyring


@dataclass(frozen=True, slots=True, order=True)
class Place:
    namespace: str
    secret: str


#: A pattern in one of the last two parts of a host.
_VAGUE: Final = re.compile(r"[*\[][^.]*(?:\.[^.]*)?$")
_in_order = attrgetter("namespace", "secret")


class Elsewhere:
    """The pull Secrets of all namespaces by name and by what they cover, to say "it exists in kubeflow".

    Holds names, registry keys and keyed fingerprints only. Whether a person may be told a place is decided where it is
    shown. The lists that its methods return are in order and not to be changed.
    """

    def __init__(self) -> None:
        self._by_name: defaultdict[str, list[Place]] = defaultdict(list)
        self._by_key: defaultdict[str, list[Place]] = defaultdict(list)
        self._sharing: defaultdict[str, set[str]] = defaultdict(set)
        self._forget()

    def _forget(self) -> None:
        self._keyring: Keyring | None = None
        self._named: dict[str, list[Place]] = {}
        self._covering: dict[tuple[str, ...], list[Place]] = {}

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

    def named(self, secret: str, *, besides: str) -> list[Place]:
        """Places of pull Secrets called `secret` outside the namespace `besides`."""
        places = self._named.get(secret)
        if places is None:
            places = self._named[secret] = sorted(self._by_name.get(secret, ()), key=_in_order)
        return _without(places, besides)

    def covering(self, image: str, *, besides: str) -> list[Place]:
        """Places of pull Secrets with a key that covers `image`, outside the namespace `besides`."""
        if self._keyring is None:
            self._keyring = Keyring.from_entries((0, Entry(key, key, "", "")) for key in self._by_key)
        return _without(self._with_keys({match.key for match in self._keyring.lookup(image)}), besides)

    def meant_for(self, image: str, *, besides: str) -> list[Place]:
        """As `covering`, by keys that write out the domain: one such as *.*.com covers much that nobody thought of."""
        if not self.covering(image, besides=besides) or self._keyring is None:
            return []
        keys = {match.key for match in self._keyring.lookup(image)}
        return _without(self._with_keys({key for key in keys if not _VAGUE.search(key.partition("/")[0])}), besides)

    def _with_keys(self, keys: Iterable[str]) -> list[Place]:
        in_order = tuple(sorted(keys))
        places = self._covering.get(in_order)
        if places is None:
            found = {place for key in in_order for place in self._by_key[key]}
            places = self._covering[in_order] = sorted(found, key=_in_order)
        return places

    def sharing(self, fingerprint: str, *, besides: str) -> int:
        """How many namespaces outside `besides` hold the credential with this fingerprint."""
        namespaces = self._sharing.get(fingerprint, ())
        return len(namespaces) - (besides in namespaces)


def _without(places: list[Place], namespace: str) -> list[Place]:
    start = end = bisect_left(places, Place(namespace, ""))
    while end < len(places) and places[end].namespace == namespace:
        end += 1
    return places if start == end else places[:start] + places[end:]
