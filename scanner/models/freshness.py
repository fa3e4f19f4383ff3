"""Which Namespaces of several clusters can still be believed: each cluster has an interval of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from scanner.models.cluster import Cluster


class Freshness:
    """What was seen of `clusters` lately enough, as of `now`. Of other clusters nothing is believed."""

    def __init__(self, clusters: Iterable[Cluster], *, now: datetime) -> None:
        self.clusters = {cluster.pk: cluster for cluster in clusters}
        self.now = now

    def seen(self, path: str = "") -> Q:
        """The Namespaces at the end of `path` that are not stale; stale ones are `~seen`."""
        believed: dict[datetime, list[int]] = {}
        for cluster in self.clusters.values():
            believed.setdefault(self.now - cluster.stale_after, []).append(cluster.pk)
        found = Q(pk__in=[])
        for since, clusters in believed.items():
            found |= Q((f"{path}cluster__in", clusters), (f"{path}scanned_at__gte", since))
        return found

    def is_stale(self, cluster: int, scanned_at: datetime | None) -> bool:
        """Whether a Namespace of the cluster with this key, last seen at `scanned_at`, is stale."""
        known = self.clusters.get(cluster)
        return known is None or scanned_at is None or scanned_at < self.now - known.stale_after

    def stale_since(self, cluster: int, scanned_at: datetime) -> datetime:
        """When it became, or will become, stale. Raises KeyError for a cluster that is not among these."""
        return scanned_at + self.clusters[cluster].stale_after
