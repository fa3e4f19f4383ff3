"""What each scan did, for the pages to tell and for the next scan to take up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import TruncDate

from scanner.models.cluster import Cluster


class ScanQuerySet(models.QuerySet["Scan"]):
    def of_whole_cluster(self) -> ScanQuerySet:
        return self.filter(namespace="")

    def within(self, namespaces: models.QuerySet[Any], clusters: Iterable[int]) -> ScanQuerySet:
        """Scans of all of `clusters`, and of each of `namespaces` alone, for lists in the order of keys."""
        here = namespaces.order_by().filter(cluster=OuterRef("cluster"), name=OuterRef("namespace"))
        # Not by an index of the cluster: nearly all scans are of it, and they would have to be sorted.
        known = Exists(Cluster.objects.filter(pk__in=list(clusters)).filter(pk=OuterRef("cluster")))
        return self.filter(Q(namespace="") | Exists(here), known)

    def with_keys(self, keys: models.QuerySet[Any, Any]) -> ScanQuerySet:
        """These, with their clusters."""
        return self.filter(pk__in=keys).select_related("cluster")

    def of_state(self, state: str) -> ScanQuerySet:
        return self.filter(state=state)

    def of_namespace(self, name: str) -> ScanQuerySet:
        return self.filter(namespace=name)

    def newest(self) -> Scan | None:
        return self.order_by("-started_at", "-pk").first()

    def newest_and_last_good(self, cluster: Cluster) -> list[Scan]:
        """The newest scan of all of `cluster` and the newest that ended well, newest first: two rows, one or none."""
        own = self.of_whole_cluster().filter(cluster=cluster).order_by("-started_at", "-pk")
        newest, good = own.values("pk")[:1], own.filter(state=Scan.State.DONE).values("pk")[:1]
        return list(self.filter(Q(pk=Subquery(newest)) | Q(pk=Subquery(good))).order_by("-started_at", "-pk"))

    def daily_critical(self, cluster: Cluster, *, since: datetime) -> list[int]:
        """The most critical Namespaces that a scan of all of `cluster` found on each day since, oldest first."""
        done = self.of_whole_cluster().filter(cluster=cluster, state=Scan.State.DONE, started_at__gte=since)
        days = done.annotate(day=TruncDate("started_at")).values("day").annotate(most=models.Max("critical"))
        return [day["most"] for day in days.order_by("day")]

    def interrupt(self, cluster: Cluster, *, now: datetime, silent_since: datetime) -> None:
        """End what killed workers left running: scans of all of `cluster`, and of Namespaces that began before
        `silent_since`."""
        left = self.filter(Q(namespace="") | Q(started_at__lt=silent_since), cluster=cluster, state=Scan.State.RUNNING)
        left.update(
            state=Scan.State.FAILED,
            finished_at=now,
            error_kind="Interrupted",
            error="The scan was interrupted: its worker stopped, or was silent for too long.",
            remedy="Nothing, if this happened once: the next scan is under way.",
        )

    def set_back(self, cluster: Cluster, *, now: datetime) -> None:
        """Have scans of `cluster` that a clock ahead of ours began seem to begin now: else they were its newest, and
        good ones, until that time comes."""
        self.filter(cluster=cluster, started_at__gt=now).update(started_at=now)

    def prune(self, cluster: Cluster, *, before: datetime) -> None:
        """Forget scans that began before, but for the first one and the last good one of the whole cluster."""
        own = self.of_whole_cluster().filter(cluster=cluster)
        first = own.order_by("started_at", "pk").values("pk")[:1]
        good = own.filter(state=Scan.State.DONE).order_by("-started_at", "-pk").values("pk")[:1]
        kept = list(self.filter(Q(pk=Subquery(first)) | Q(pk=Subquery(good))).values_list("pk", flat=True))
        self.filter(cluster=cluster, started_at__lt=before).exclude(pk__in=kept).delete()

    def first_started_of(self, cluster: Cluster) -> datetime | None:
        """Since when Credboard looks at `cluster`."""
        first = self.filter(cluster=cluster).order_by("started_at").first()
        return first.started_at if first else None


class Scan(models.Model):
    """One pass over a cluster, or over the Namespace called `namespace`.

    `mode` says how it read: "cluster" (cluster-wide lists) or "namespaces" (one after the other, because the wide list
    was refused). `error` and `remedy` are sentences for people; `error_kind` is the name of the `ClusterError`. A scan
    that is done has them too when `failed_namespaces` of its Namespaces could not be scanned: they tell of the last.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="scans", db_index=False)
    namespace = models.CharField(max_length=253, blank=True)
    state = models.CharField(max_length=10, default=State.RUNNING)
    mode = models.CharField(max_length=12, default="cluster")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    namespaces_done = models.PositiveIntegerField(default=0)
    namespaces_total = models.PositiveIntegerField(null=True)
    failed_namespaces = models.PositiveIntegerField(default=0)
    critical = models.PositiveIntegerField(default=0)
    warning = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    ok = models.PositiveIntegerField(default=0)
    error_kind = models.CharField(max_length=50, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    remedy = models.CharField(max_length=2000, blank=True)

    objects = ScanQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=["cluster", "namespace", "-started_at"], name="scan_newest"),)

    def __str__(self) -> str:
        return f"{self.cluster_id} {self.namespace or '*'} {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def percent(self) -> int:
        return min(100, 100 * self.namespaces_done // self.namespaces_total) if self.namespaces_total else 0
