"""Which Namespaces of several clusters can still be believed: each cluster has an interval of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from scanner.models.cluster import Cluster
from scanner.staleness import is_stale


class Freshness:
    """What was seen of `clusters` lately enough, as of `now`. Of other clusters nothing is believed."""

    def __init__(self, clusters: Iterable[Cluster], *, now: datetime) -> None:
        self.clusters = {cluster.pk: cluster for cluster in clusters}
        self.now = now

    def seen(self, path: str = "") -> Q:
        """The Namespaces at the end of `path` that are not stale; stale ones are `~seen`."""
        believed: dict[timedelta, list[int]] = {}
        for cluster in self.clusters.values():
            believed.setdefault(cluster.stale_after, []).append(cluster.pk)
        found = Q(pk__in=[])
        for after, clusters in believed.items():
            lately = self.now - after, self.now + after  # as in `is_stale`
            found |= Q((f"{path}cluster__in", clusters), (f"{path}scanned_at__range", lately))
        return found

    def is_stale(self, cluster: int, scanned_at: datetime | None) -> bool:
        """Whether a Namespace of the cluster with this key, last seen at `scanned_at`, is stale."""
        known = self.clusters.get(cluster)
        return known is None or is_stale(scanned_at, now=self.now, after=known.stale_after)

    def stale_since(self, cluster: int, scanned_at: datetime) -> datetime:
        """Since when it has been stale. Raises KeyError for a cluster that is not among these."""
        return min(scanned_at + self.clusters[cluster].stale_after, self.now)
