"""What scans leave behind: rows that pages, mails and the API read. No column can hold a secret value.

Statuses and codes are plain text without `choices`: a new check or status needs no migration. `rank` repeats a status
as a number (`check.rank`) so that the database can sort worst first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, TruncDate
from django.utils import timezone

from scanner.check import Status, rank
from scanner.columns import label_of

#: A namespace whose last good scan is older than this many intervals is unknown, whatever it was then.
STALE_AFTER_INTERVALS = 2


#: Without one of these in a Namespace, a credential may be missing there without a word.
BLINDING = ["secrets", "pods", "serviceaccounts"]


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def due(self, now: datetime) -> ClusterQuerySet:
        return self.filter(next_scan_at__lte=now)

    def visible_to(self, user: Any) -> ClusterQuerySet:
        """All for an operator, else those with a Namespace that `user` may see; scanned ones first, then by name."""
        ordered = self.order_by(Case(When(next_scan_at=None, then=1), default=0), "name")
        if user.is_staff:
            return ordered
        return ordered.filter(Exists(Namespace.objects.visible_to(user).filter(cluster=OuterRef("pk"))))


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

    objects = ClusterQuerySet.as_manager()

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
        taken = Cluster.objects.filter(free, pk=self.pk).update(lease_until=until) == 1
        if taken:
            self.lease_until = until
        return taken

    def extend_lease(self, *, now: datetime, seconds: int) -> bool:
        """Keep the lease that this object took. False: it ran out and someone else has it, so stop."""
        until = now + timedelta(seconds=seconds)
        ours = Cluster.objects.filter(pk=self.pk, lease_until=self.lease_until)
        if self.lease_until is None or ours.update(lease_until=until) == 0:
            return False
        self.lease_until = until
        return True

    def end_lease(self) -> None:
        """Give up the lease that this object took, if it still has it."""
        Cluster.objects.filter(pk=self.pk, lease_until=self.lease_until).update(lease_until=None)

    def retry_when_free(self) -> None:
        """Have a scan that found the cluster leased tried again as soon as that lease can have run out."""
        waiting = Cluster.objects.filter(pk=self.pk, next_scan_at__gt=F("lease_until"))
        waiting.update(next_scan_at=F("lease_until"))


class ScanQuerySet(models.QuerySet["Scan"]):
    def of_whole_cluster(self) -> ScanQuerySet:
        return self.filter(namespace="")

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

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="scans")
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


def _stale(cluster: Cluster, now: datetime) -> Q:
    return Q(scanned_at=None) | Q(scanned_at__lt=now - cluster.stale_after)


class NamespaceQuerySet(models.QuerySet["Namespace"]):
    def present(self) -> NamespaceQuerySet:
        return self.filter(gone_at=None)

    def due(self, now: datetime) -> NamespaceQuerySet:
        return self.filter(next_scan_at__lte=now, gone_at=None)

    def visible_to(self, user: Any) -> NamespaceQuerySet:
        """The Namespaces that `user` may see: all for an operator, else those that name the person or a group."""
        if user.is_staff:
            return self.present()
        if not user.is_authenticated or not user.is_active:
            return self.none()
        named = Q(kind="user", name__in=[name for name in (user.get_username(), user.email) if name])
        grouped = Q(kind="group", name__in=user.groups.values("name"))
        return self.present().filter(pk__in=NamespaceOwner.objects.filter(named | grouped).values("namespace"))

    def judged(self, cluster: Cluster, *, now: datetime, credential: str = "") -> NamespaceQuerySet:
        """Those of `cluster` with `rank_now` and `critical_now`: what was seen too long ago is unknown (`status_at`).

        With a `credential` only those that need it, and `rank_now` is the rank of its cell.
        """
        stale = _stale(cluster, now)
        rows = self.filter(cluster=cluster)
        stored: Any = F("rank")
        if credential:
            cells = Cell.objects.filter(namespace=OuterRef("pk"), credential__slug=credential)
            rows = rows.filter(Exists(cells))
            stored = Subquery(cells.values("rank")[:1])
        return rows.annotate(
            rank_now=Case(
                When(stale, then=Value(rank(Status.UNKNOWN))), default=stored, output_field=models.IntegerField()
            ),
            critical_now=Case(
                When(stale, then=Value(0)), default=F("critical_cells"), output_field=models.IntegerField()
            ),
        )

    def matching(self, text: str) -> NamespaceQuerySet:
        """Those whose name, a label or an owner contains every word of `text`."""
        rows = self.annotate(labels_text=Cast("labels", models.TextField()))
        for word in text.split()[:8]:
            owned = NamespaceOwner.objects.filter(namespace=OuterRef("pk"), name__icontains=word)
            rows = rows.filter(Q(name__icontains=word) | Q(labels_text__icontains=word) | Exists(owned))
        return rows

    def owned_by(self, name: str) -> NamespaceQuerySet:
        return self.filter(Exists(NamespaceOwner.objects.filter(namespace=OuterRef("pk"), name__iexact=name)))

    def labelled(self, label: str) -> NamespaceQuerySet:
        """Those with the label "key=value", or with any value for "key"."""
        key, equals, value = label.partition("=")
        if not equals:
            return self.filter(labels__has_key=key)
        return self.annotate(label_value=Cast(KeyTextTransform(key, "labels"), models.TextField())).filter(
            label_value=value
        )

    def with_reason(self, reason: str, *, now: datetime, cluster: Cluster, credential: str = "") -> NamespaceQuerySet:
        """Those with this reason now, themselves or in a cell (of `credential`, if given); "stale" are the too old."""
        stale = _stale(cluster, now)
        if reason == "stale":
            return self.filter(stale)
        cells = Cell.objects.filter(namespace=OuterRef("pk"), reason=reason)
        if reason == "not-checked" and not credential:
            return self.filter(Q(reason=reason) | Q(unreadable__has_any_keys=BLINDING) | Exists(cells), ~stale)
        if credential:
            return self.filter(~stale, Exists(cells.filter(credential__slug=credential)))
        return self.filter(~stale, Q(reason=reason) | Exists(cells))

    def with_status_now(self, status: str) -> NamespaceQuerySet:
        """Of `judged` ones."""
        return self.filter(Q(("rank_now", rank(status))))

    def tallies(self, cluster: Cluster, *, now: datetime) -> dict[str, int]:
        """How many of `judged` ones have each status now, how many could not be read in full ("unreadable"), and
        whether any Namespace of `cluster` is stale ("any_stale", 0 or 1; None when there is nothing to count)."""
        counts = {status.value: Count("pk", filter=Q(rank_now=rank(status))) for status in Status}
        stale = Namespace.objects.present().filter(_stale(cluster, now), cluster=cluster)
        return self.annotate(stale_here=Cast(Exists(stale), models.IntegerField())).aggregate(
            **counts,
            unreadable=Count("pk", filter=Q(unreadable__has_any_keys=BLINDING)),
            any_stale=models.Max("stale_here"),
        )

    def matrix_rows(self) -> NamespaceQuerySet:
        """Worst first, then most critical cells, then by name; with owners, without what no row shows."""
        order = ("-rank_now", "-critical_now", "name")
        return self.order_by(*order).defer("pull_secrets", "service_accounts", "labels").prefetch_related("owners")

    def of_cluster(self, cluster: Cluster) -> NamespaceQuerySet:
        return self.filter(cluster=cluster)

    def named(self, names: list[str]) -> NamespaceQuerySet:
        return self.filter(name__in=names)


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
    # The scan of the whole cluster that made this one due and waits for it.
    handed_out_by = models.ForeignKey(Scan, on_delete=models.SET_NULL, null=True, related_name="+")
    gone_at = models.DateTimeField(null=True)

    objects = NamespaceQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["cluster", "name"], name="namespace_once_per_cluster"),)
        indexes = (
            models.Index(
                fields=["cluster", "gone_at", "-rank", "-critical_cells", "name"], name="namespace_worst_first"
            ),
        )

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

    def report_back(self) -> Scan | None:
        """The scan that handed this Namespace out, told to one caller only; None for all others."""
        scan = Scan.objects.filter(pk__in=Namespace.objects.filter(pk=self.pk).values("handed_out_by")).first()
        told = Namespace.objects.filter(pk=self.pk, handed_out_by=scan).update(handed_out_by=None) if scan else 0
        return scan if told else None


class NamespaceOwner(models.Model):
    """A user or group whose Namespace it is, and what says so: "profile", "annotation" or "rolebinding"."""

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="owners")
    kind = models.CharField(max_length=5)
    name = models.CharField(max_length=253)
    source = models.CharField(max_length=12)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "kind", "name"], name="owner_once_per_namespace"),)
        indexes = (models.Index(fields=["kind", "name"], name="owner_by_name"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Credential(models.Model):
    """A column of the matrix: "registry/quay.io", "tls", "token/kubernetes"."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="credentials")
    slug = models.CharField(max_length=320)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["cluster", "slug"], name="credential_once_per_cluster"),)

    def __str__(self) -> str:
        return self.slug

    @property
    def kind(self) -> str:
        """The part before the slash: "registry", "tls", "token"."""
        return self.slug.partition("/")[0]

    @property
    def label(self) -> str:
        return label_of(self.slug)


class CellQuerySet(models.QuerySet["Cell"]):
    def on_page(self, namespaces: list[Namespace]) -> CellQuerySet:
        return self.filter(namespace__in=namespaces)

    def matrix_cells(self, namespaces: list[Namespace]) -> models.QuerySet[Any, Any]:
        """The cells of one page as tuples: Namespace's pk, credential, status, reason, expiry, number of Pods."""
        columns = ("namespace_id", "credential__slug", "status", "reason", "expires_at", "pod_count")
        return self.on_page(namespaces).values_list(*columns)

    def counts(self, namespaces: NamespaceQuerySet, *, cluster: Cluster, now: datetime) -> models.QuerySet[Any, Any]:
        """Dicts of `slug`, `status_now`, `reason_now` and `cells` over `namespaces` of `cluster`."""
        seen = Q(namespace__scanned_at__gte=now - cluster.stale_after)
        text = models.CharField()
        return self._counted(
            self.filter(namespace__in=namespaces.filter(cluster=cluster)),
            status_now=Case(When(seen, then=F("status")), default=Value(Status.UNKNOWN.value), output_field=text),
            reason_now=Case(When(seen, then=F("reason")), default=Value("stale"), output_field=text),
        )

    def counts_of_all(self, cluster: Cluster) -> models.QuerySet[Any, Any]:
        """As `counts`, for all Namespaces of a cluster none of which is stale: answered from one index."""
        columns = Credential.objects.filter(cluster=cluster).values("pk")
        return self._counted(self.filter(credential__in=columns), status_now=F("status"), reason_now=F("reason"))

    @staticmethod
    def _counted(cells: models.QuerySet[Any, Any], **now: Any) -> models.QuerySet[Any, Any]:
        # By the key, not the slug: that is the order of the index.
        counted = cells.annotate(**now).values("credential_id", "status_now", "reason_now")
        found: models.QuerySet[Any, Any] = counted.annotate(cells=Count("pk"), slug=models.Max("credential__slug"))
        return found.order_by()

    def of_namespace(self, namespace: Namespace) -> CellQuerySet:
        return self.filter(namespace=namespace).select_related("credential").order_by("-rank", "credential__slug")


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
        constraints = (models.UniqueConstraint(fields=["namespace", "credential"], name="cell_once"),)
        indexes = (
            models.Index(fields=["credential", "-rank"], name="cell_worst_of_credential"),
            models.Index(fields=["credential", "status", "reason"], name="cell_counts"),
        )

    def __str__(self) -> str:
        return f"{self.namespace_id} × {self.credential_id}: {self.status}"


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self) -> FindingQuerySet:
        return self.filter(resolved_at=None)

    def worst_first(self) -> FindingQuerySet:
        return self.order_by("-rank", "code", "object", "credential")

    def of_namespace(self, namespace: Namespace) -> FindingQuerySet:
        return self.filter(namespace=namespace)

    def of_credential(self, namespace: Namespace, credential: str) -> FindingQuerySet:
        return self.filter(namespace=namespace, credential=credential)

    def lately(self, since: datetime) -> FindingQuerySet:
        """Open, or resolved after `since`."""
        return self.filter(Q(resolved_at=None) | Q(resolved_at__gte=since))


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
        constraints = (
            models.UniqueConstraint(
                fields=["namespace", "code", "object", "credential"],
                condition=Q(resolved_at=None),
                name="finding_open_once",
            ),
        )
        indexes = (models.Index(F("resolved_at"), F("rank").desc(), name="finding_open_worst_first"),)

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
        ordering = ["-at", "-pk"]  # noqa: RUF012 (a tuple would be another migration)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.namespace}/{self.object}: {self.outcome}"
