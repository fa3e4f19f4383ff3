"""The matrix as scans leave it: its columns and cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import models
from django.db.models import Count, Exists, F, Func, OuterRef, Q, Value
from django.db.models.expressions import Combinable

from scanner.check import Status
from scanner.columns import label_of
from scanner.models.cluster import Cluster
from scanner.models.freshness import Freshness

if TYPE_CHECKING:
    from scanner.models.namespace import Namespace


class CredentialQuerySet(models.QuerySet["Credential"]):
    def of_clusters(self, clusters: Iterable[int]) -> CredentialQuerySet:
        return self.filter(cluster__in=list(clusters)).select_related("cluster")

    def of_slug(self, credential: str) -> CredentialQuerySet:
        return self.filter(slug=credential)

    def needed(self, *, visible: models.QuerySet[Namespace] | None = None) -> CredentialQuerySet:
        """Those that a Namespace needs: one of `visible`, or any (None)."""
        if visible is None:
            return self.filter(Exists(Cell.objects.filter(credential=OuterRef("pk"))))
        cells = Cell.objects.filter(namespace__in=visible.order_by().values("pk"))
        return self.filter(pk__in=cells.values("credential"))


class Credential(models.Model):
    """A column of the matrix: "registry/quay.io", "tls", "token/kubernetes"."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="credentials", db_index=False)
    slug = models.CharField(max_length=320)

    objects = CredentialQuerySet.as_manager()

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


_TEXT: Final[models.CharField[str, str]] = models.CharField()


#: That a cell is not well, in the very words of the index `cell_hurt` and without a parameter: SQLite uses an index
#: that has a condition only where it reads that condition in the query.
_IS_HURT: Final = Func(F("status"), template="NOT (%(expressions)s = 'ok')", output_field=models.BooleanField())


def _counted(cells: CellQuerySet, status: Combinable, reason: Combinable) -> models.QuerySet[Any, Any]:
    groups = cells.annotate(slug=Value("", _TEXT), status_now=status, reason_now=reason).order_by()
    counted = groups.values("credential_id", "slug", "status_now", "reason_now").annotate(number=Count("*"))
    return counted.values_list("credential_id", "slug", "status_now", "reason_now", "number")


def _by_status(cells: CellQuerySet) -> models.QuerySet[Any, Any]:
    return (
        cells.order_by()
        .values("credential_id", "status")
        .annotate(number=Count("*"))
        .values_list("credential_id", "status", "number")
    )


class CellQuerySet(models.QuerySet["Cell"]):
    def matrix_cells(self, namespaces: Sequence[int]) -> models.QuerySet[Any, Any]:
        """The cells of one page as tuples: Namespace's pk, credential, status, reason, expiry, number of Pods."""
        columns = ("namespace_id", "credential__slug", "status", "reason", "expires_at", "pod_count")
        return self.filter(namespace__in=namespaces).values_list(*columns)

    def counts(
        self,
        cluster: Cluster,
        *,
        now: datetime,
        visible: models.QuerySet[Namespace] | None = None,
        any_stale: bool = True,
    ) -> list[tuple[str, str, str, int]]:
        """Credential, status and reason now, and how many cells of `cluster` have them. One query.

        What is well is not counted, since it is nearly all: one line ("tls", "ok", "", 0) says that a column is there.
        `visible` are the Namespaces of `cluster` to look at, None for all; `any_stale` False: none of them is stale.
        """
        columns = Credential.objects.filter(cluster=cluster)
        unseen = cluster.unseen(now)
        nothing = {
            "status_now": Value(Status.OK.value, _TEXT),
            "reason_now": Value("", _TEXT),
            "number": Value(0, models.IntegerField()),
        }
        if visible is None:
            cells = self.filter(credential__in=columns.values("pk"))
            stale = cluster.namespaces.filter(unseen, gone_at=None).values("pk")
            old, seen = cells.filter(namespace__in=stale), cells.exclude(namespace__in=stale) if any_stale else cells
            used = columns.filter(Exists(self.model.objects.filter(credential=OuterRef("pk"))))
            hurt = seen.filter(status__in=[status for status in Status if status is not Status.OK])
        else:
            cells = self.filter(namespace__in=visible.values("pk"))
            old = self.filter(namespace__in=visible.filter(unseen).values("pk"))
            seen = self.filter(namespace__in=visible.exclude(unseen).values("pk")) if any_stale else cells
            used = columns.filter(Exists(cells.filter(credential=OuterRef("pk"))))
            hurt = seen.filter(_IS_HURT)
        there: models.QuerySet[Any, Any] = used.annotate(**nothing).values_list("pk", "slug", *nothing)
        parts = [_counted(hurt, F("status"), F("reason"))]
        if any_stale:
            parts.append(_counted(old, Value(Status.UNKNOWN.value, _TEXT), Value("stale", _TEXT)))
        lines = list(there.union(*parts, all=True))
        slugs = {key: slug for key, slug, *_ in lines if slug}
        return [(slugs[key], *counted) for key, _, *counted in lines if key in slugs]

    def within(self, namespaces: models.QuerySet[Namespace]) -> CellQuerySet:
        """Those in `namespaces`, with what to say of where they are."""
        return self.filter(namespace__in=namespaces.order_by().values("pk")).select_related("namespace", "credential")

    def of_most(self, namespaces: models.QuerySet[Namespace]) -> CellQuerySet:
        """Those in `namespaces`, which are most that there are: told so, SQLite goes through an index of all cells in
        its order and looks each Namespace up, instead of sorting the cells of every one of them."""
        return self.filter(Exists(namespaces.order_by().filter(pk=OuterRef("namespace_id"))))

    def with_keys(self, keys: models.QuerySet[Any, Any]) -> CellQuerySet:
        """These, with what to say of where they are."""
        return self.filter(pk__in=keys).select_related("namespace", "credential")

    def of_slug(self, credential: str) -> CellQuerySet:
        return self.filter(credential__slug=credential)

    def with_status_at(self, status: str, fresh: Freshness) -> CellQuerySet:
        """Those with this status at `fresh.now`: what is stale is unknown."""
        seen, told = fresh.seen("namespace__"), Q(status=status)
        return self.filter(~seen | told if status == Status.UNKNOWN else seen & told)

    def with_reason_at(self, reason: str, fresh: Freshness) -> CellQuerySet:
        """As `with_status_at`; the reason of all that are stale is "stale"."""
        seen = fresh.seen("namespace__")
        return self.filter(~seen if reason == "stale" else seen & Q(reason=reason))

    def ending(self, *, until: datetime | None = None, since: datetime | None = None) -> CellQuerySet:
        """Those whose end is known, at or after `since` and before `until`."""
        rows = self.filter(expires_at__isnull=False)
        if since is not None:
            rows = rows.filter(expires_at__gte=since)
        return rows.filter(expires_at__lt=until) if until is not None else rows

    def soonest_first(self) -> CellQuerySet:
        """Of `ending` ones."""
        return self.order_by("expires_at", "namespace_id", "credential_id")

    def status_counts(
        self, columns: Iterable[int], fresh: Freshness, *, visible: models.QuerySet[Namespace] | None = None
    ) -> dict[int, dict[str, int]]:
        """Credential's key -> status at `fresh.now` -> how many cells, of `columns`; with `visible`, in these
        Namespaces, whatever the column. Two queries: all are counted as they are stored, from an index, then the few
        stale ones are moved over."""
        if visible is None:
            cells = self.filter(credential__in=list(columns))
        else:
            # Without `columns`, through which SQLite would look at everyone's cells.
            cells = self.filter(namespace__in=visible.order_by().values("pk"))
        tallies: dict[int, dict[str, int]] = {}
        for column, status, number in _by_status(cells):
            tallies.setdefault(column, dict.fromkeys((str(status) for status in Status), 0))[status] += number
        # By key: joined, the database would look at each cell's Namespace.
        namespaces: Any = self.model._meta.get_field("namespace").related_model
        stale = namespaces.objects.present().filter(~fresh.seen(), cluster__in=list(fresh.clusters)).values("pk")
        for column, status, number in _by_status(cells.filter(namespace__in=stale)):
            tally = tallies.setdefault(column, dict.fromkeys((str(status) for status in Status), 0))
            tally[status] = max(0, tally[status] - number)
            tally[Status.UNKNOWN] += number
        return tallies

    def of_namespace(self, namespace: Namespace) -> CellQuerySet:
        return self.filter(namespace=namespace).select_related("credential").order_by("-rank", "credential__slug")


class Cell(models.Model):
    """A credential in a Namespace that needs it. No row: nothing here needs it.

    `since` is when the present status and reason began. `details` is the drawer's JSON: `chain` (steps of
    `verdict.Step`), `pods`, and the facts of the worst finding.
    """

    namespace = models.ForeignKey("Namespace", on_delete=models.CASCADE, related_name="cells", db_index=False)
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="cells", db_index=False)
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
            # A column's counts, and the Namespaces with a reason: from the index alone.
            models.Index(fields=["credential", "status", "reason", "namespace"], name="cell_counts"),
            # What is not well, Namespace by Namespace: what a person sees of it is counted from here.
            models.Index(
                fields=["namespace", "credential", "status", "reason"], name="cell_hurt", condition=~Q(status="ok")
            ),
            # The ranks of one column, Namespace by Namespace: likewise.
            models.Index(fields=["credential", "namespace", "rank"], name="cell_of_column"),
            # What ends when, soonest first.
            models.Index(
                fields=["expires_at", "namespace", "credential"],
                name="cell_ending",
                condition=Q(expires_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.namespace_id} × {self.credential_id}: {self.status}"
