"""What the list of clusters shows: where each is, how its scans go, and until when Credboard gets in."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from dashboard.metrics_rows import newest_scans
from scanner.models import Cluster, ClusterAccess, Namespace, Scan
from scanner.staleness import is_stale


class ClusterRow:
    """A cluster of the list. `newest` is its last scan that ended, `good` the last one that ended well."""

    def __init__(self, cluster: Cluster, *, newest: Scan | None, good: Scan | None, now: datetime) -> None:
        self.cluster = cluster
        self.newest = newest
        self.good = good
        self._now = now

    @property
    def access(self) -> ClusterAccess | None:
        return getattr(self.cluster, "access", None)

    @property
    def is_paused(self) -> bool:
        return self.cluster.next_scan_at is None

    @property
    def is_stale(self) -> bool:
        after = self.cluster.stale_after
        return self.good is not None and is_stale(self.good.started_at, now=self._now, after=after)

    @property
    def failed(self) -> Scan | None:
        """The last scan, when it failed."""
        return self.newest if self.newest and self.newest.state == Scan.State.FAILED else None

    @property
    def kubeconfig(self) -> str:
        """Where its kubeconfig is."""
        if self.cluster.kubeconfig:
            return self.cluster.kubeconfig
        if self.access is not None and self.access.is_stored:
            return "stored here, encrypted"
        return "the usual places" if self.access is not None else "none: the cluster that Credboard runs in"

    @property
    def filters(self) -> list[str]:
        """Which of its Namespaces are scanned; nothing for all."""
        cluster = self.cluster
        parts = [
            f"only {', '.join(cluster.include)}" if cluster.include else "",
            f"without {', '.join(cluster.exclude)}" if cluster.exclude else "",
            f"labels {cluster.label_selector}" if cluster.label_selector else "",
        ]
        return [part for part in parts if part]

    @property
    def ends_soon(self) -> bool:
        return self.access is not None and self.access.ends_soon(self._now)

    @property
    def has_ended(self) -> bool:
        return bool(self.access and self.access.expires_at and self.access.expires_at <= self._now)

    @cached_property
    def namespaces(self) -> int:
        return Namespace.objects.filter(cluster=self.cluster, gone_at=None).count()


def rows(*, now: datetime, pk: int | None = None) -> list[ClusterRow]:
    """All clusters by name, or the one with `pk`."""
    clusters = [one for one in Cluster.objects.for_page() if pk is None or one.pk == pk]
    newest, good = newest_scans(clusters)
    return [ClusterRow(one, newest=newest.get(one.pk), good=good.get(one.pk), now=now) for one in clusters]
