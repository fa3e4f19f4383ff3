"""What scans leave behind: rows that pages, mails and the API read. No column can hold a secret value.

Statuses and codes are plain text without `choices`: a new check or status needs no migration. `rank` repeats a status as
a number (`check.rank`) so that the database can sort worst first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from scanner.check import Status, rank

#: A namespace whose last good scan is older than this many intervals is unknown, whatever it was then.
STALE_AFTER_INTERVALS = 2


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def due(self, now: datetime) -> ClusterQuerySet:
        return self.filter(next_scan_at__lte=now)


class Cluster(models.Model):
    """A Kubernetes cluster that is scanned. `kubeconfig` is a path ("" for the usual places or in-cluster)."""

    name = models.CharField(max_length=100, unique=True)
    kubeconfig = models.CharField(max_length=500, blank=True)
    context = models.CharField(max_length=253, blank=True)
    is_demo = models.BooleanField(default=False)
    scan_interval = models.PositiveIntegerField(default=60, help_text="Seconds from the start of a scan to the next.")
    include = models.JSONField(default=list, blank=True, help_text="Globs of Namespace names; empty for all.")
    exclude = models.JSONField(default=list, blank=True, help_text="Globs of Namespace names; wins over include.")
    label_selector = models.CharField(max_length=500, blank=True)
    next_scan_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    # Who scans now; an owner that was killed loses it by not extending it.
    lease_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Cluster]] = ClusterQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.name

    @property
    def stale_after(self) -> timedelta:
        return timedelta(seconds=self.scan_interval * STALE_AFTER_INTERVALS)

    def claim_scan(self, *, now: datetime) -> bool:
        """Move `next_scan_at` on from the value this object was loaded with. False: someone else did."""
        following = now + timedelta(seconds=self.scan_interval)
        return Cluster.objects.filter(pk=self.pk, next_scan_at=self.next_scan_at).update(next_scan_at=following) == 1

    def take_lease(self, *, now: datetime, seconds: int) -> bool:
        """Become the only one who scans this cluster for `seconds`, unless someone is."""
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        until = now + timedelta(seconds=seconds)
        return Cluster.objects.filter(free, pk=self.pk).update(lease_until=until) == 1

    def extend_lease(self, *, now: datetime, seconds: int) -> None:
        Cluster.objects.filter(pk=self.pk).update(lease_until=now + timedelta(seconds=seconds))

    def end_lease(self) -> None:
        Cluster.objects.filter(pk=self.pk).update(lease_until=None)


class ScanQuerySet(models.QuerySet["Scan"]):
    def of_whole_cluster(self) -> ScanQuerySet:
        return self.filter(namespace="")

    def newest(self) -> Scan | None:
        return self.order_by("-started_at", "-pk").first()


class Scan(models.Model):
    """One pass over a cluster, or over the Namespace called `namespace`.

    `mode` says how it read: "cluster" (cluster-wide lists) or "namespaces" (one after the other, because the wide list was
    refused). `error` and `remedy` are sentences for people; `error_kind` the name of the `ClusterError` that ended it.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="scans")
    namespace = models.CharField(max_length=253, blank=True)
    state = models.CharField(max_length=10, default=State.RUNNING)
    mode = models.CharField(max_length=12, default="cluster")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    namespaces_done = models.PositiveIntegerField(default=0)
    namespaces_total = models.PositiveIntegerField(null=True)
    critical = models.PositiveIntegerField(default=0)
    warning = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    ok = models.PositiveIntegerField(default=0)
    error_kind = models.CharField(max_length=50, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    remedy = models.CharField(max_length=2000, blank=True)

    objects = ScanQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["cluster", "namespace", "-started_at"], name="scan_newest")]

    def __str__(self) -> str:
        return f"{self.cluster_id} {self.namespace or '*'} {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def percent(self) -> int:
        return min(100, 100 * self.namespaces_done // self.namespaces_total) if self.namespaces_total else 0


class NamespaceQuerySet(models.QuerySet["Namespace"]):
    def present(self) -> NamespaceQuerySet:
        return self.filter(gone_at=None)

    def due(self, now: datetime) -> NamespaceQuerySet:
        return self.filter(next_scan_at__lte=now, gone_at=None)

    def visible_to(self, user: Any) -> NamespaceQuerySet:
        """The Namespaces that `user` may see: all for an operator, else those whose owners name the person or a group."""
        if user.is_staff:
            return self.present()
        if not user.is_authenticated or not user.is_active:
            return self.none()
        named = Q(kind="user", name__in=[name for name in (user.get_username(), user.email) if name])
        grouped = Q(kind="group", name__in=user.groups.values("name"))
        return self.present().filter(pk__in=NamespaceOwner.objects.filter(named | grouped).values("namespace"))


class Namespace(models.Model):
    """A Namespace as its last good scan saw it; `scanned_at` is when. Its status now is `status_at`."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="namespaces")
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64, blank=True)
    labels = models.JSONField(default=dict)
    status = models.CharField(max_length=10, default=Status.UNKNOWN)
    rank = models.PositiveSmallIntegerField(default=rank(Status.UNKNOWN))
    reason = models.CharField(max_length=40, default="not-checked")
    critical_cells = models.PositiveIntegerField(default=0)
    # resource -> why the API refused it, and code of a check -> why it could not be asked
    unreadable = models.JSONField(default=dict)
    unasked = models.JSONField(default=dict)
    # pull Secrets here with their registry keys: `Elsewhere` of a later scan of one namespace
    pull_secrets = models.JSONField(default=dict)
    service_accounts = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True)
    scanned_at = models.DateTimeField(null=True, db_index=True)
    next_scan_at = models.DateTimeField(null=True, db_index=True)
    gone_at = models.DateTimeField(null=True)

    objects = NamespaceQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="namespace_once_per_cluster")]
        indexes = [models.Index(fields=["cluster", "gone_at", "-rank", "-critical_cells", "name"], name="namespace_worst_first")]

    def __str__(self) -> str:
        return self.name

    def is_stale(self, now: datetime) -> bool:
        return self.scanned_at is None or self.scanned_at < now - self.cluster.stale_after

    def status_at(self, now: datetime) -> Status:
        """Status as it must be shown at `now`: what was seen too long ago is unknown."""
        return Status.UNKNOWN if self.is_stale(now) else Status(self.status)

    def claim_scan(self) -> bool:
        """Take the due scan of this Namespace. False: someone else did."""
        return Namespace.objects.filter(pk=self.pk, next_scan_at=self.next_scan_at).update(next_scan_at=None) == 1


class NamespaceOwner(models.Model):
    """A user or group whose Namespace it is, and what says so: "profile", "annotation" or "rolebinding"."""

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="owners")
    kind = models.CharField(max_length=5)
    name = models.CharField(max_length=253)
    source = models.CharField(max_length=12)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["namespace", "kind", "name"], name="owner_once_per_namespace")]
        indexes = [models.Index(fields=["kind", "name"], name="owner_by_name")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Credential(models.Model):
    """A column of the matrix: "registry/quay.io", "tls", "token/kubernetes"."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="credentials")
    slug = models.CharField(max_length=320)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "slug"], name="credential_once_per_cluster")]

    def __str__(self) -> str:
        return self.slug

    @property
    def kind(self) -> str:
        """The part before the slash: "registry", "tls", "token"."""
        return self.slug.partition("/")[0]

    @property
    def label(self) -> str:
        return self.slug.partition("/")[2] or self.slug.upper()


class CellQuerySet(models.QuerySet["Cell"]):
    def on_page(self, namespaces: list[Namespace]) -> CellQuerySet:
        return self.filter(namespace__in=namespaces)


class Cell(models.Model):
    """A credential in a Namespace that needs it. No row: nothing here needs it.

    `since` is when the present status and reason began. `details` is the drawer's JSON: `chain` (steps of
    `verdict.Step`), `pods`, and the facts of the worst finding.
    """

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="cells")
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="cells")
    status = models.CharField(max_length=10)
    rank = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=40)
    since = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    expiry_source = models.CharField(max_length=20, blank=True)
    verified = models.CharField(max_length=20, blank=True)
    secret = models.CharField(max_length=253, blank=True)
    pod_count = models.PositiveIntegerField(default=0)
    details = models.JSONField(default=dict)

    objects = CellQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["namespace", "credential"], name="cell_once")]
        indexes = [models.Index(fields=["credential", "-rank"], name="cell_worst_of_credential")]

    def __str__(self) -> str:
        return f"{self.namespace_id} × {self.credential_id}: {self.status}"


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self) -> FindingQuerySet:
        return self.filter(resolved_at=None)

    def worst_first(self) -> FindingQuerySet:
        return self.order_by("-rank", "code", "object", "credential")


class Finding(models.Model):
    """A problem with a lifetime. One row is open per (Namespace, code, object, credential); when the problem comes back
    after it was resolved, a new row opens, so the history stays."""

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="findings")
    code = models.CharField(max_length=4)
    object = models.CharField(max_length=320)
    credential = models.CharField(max_length=320, blank=True)
    status = models.CharField(max_length=10)
    rank = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=40)
    message = models.TextField()
    expires_at = models.DateTimeField(null=True)
    details = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "code", "object", "credential"],
                condition=Q(resolved_at=None),
                name="finding_open_once",
            )
        ]
        indexes = [models.Index(F("resolved_at"), F("rank").desc(), name="finding_open_worst_first")]

    def __str__(self) -> str:
        return f"{self.code} {self.object}"


class AuditEntry(models.Model):
    """Who changed what in a cluster through Credboard, and how it ended. Names only, never values; rows outlive what
    they speak of, so nothing here is a foreign key."""

    class Outcome(models.TextChoices):
        DONE = "done"
        REFUSED = "refused"
        FAILED = "failed"
        UNDONE = "undone"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    cluster = models.CharField(max_length=100)
    namespace = models.CharField(max_length=253)
    object = models.CharField(max_length=320)
    outcome = models.CharField(max_length=10)
    message = models.CharField(max_length=1000, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.namespace}/{self.object}: {self.outcome}"
