"""What other Namespaces have, where only one is scanned: as the last scan of each stored it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scanner.elsewhere import Elsewhere, Places
from scanner.models import Cluster, Namespace


class StoredElsewhere(Elsewhere):
    """What is stored of a cluster's Namespaces, each part read only when a check asks for it."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._loaded = set[str]()

    def _rows(self, column: str) -> Iterator[tuple[str, Any]]:
        """Names of the Namespaces with what is in `column`, the first time; nothing after that."""
        if column not in self._loaded:
            self._loaded.add(column)
            rows = Namespace.objects.filter(cluster=self._cluster, gone_at=None)
            yield from rows.values_list("name", column).iterator()

    def _load(self) -> None:
        for name, pull_secrets in self._rows("pull_secrets"):
            self.add(name, pull_secrets)

    def named(self, secret: str, *, besides: str) -> Places:
        self._load()
        return super().named(secret, besides=besides)

    def covering(self, image: str, *, besides: str) -> Places:
        self._load()
        return super().covering(image, besides=besides)

    def sharing(self, fingerprint: str, *, besides: str) -> int:
        for name, fingerprints in self._rows("fingerprints"):
            self.add(name, {}, fingerprints)
        return super().sharing(fingerprint, besides=besides)
