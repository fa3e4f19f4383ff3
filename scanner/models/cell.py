"""The matrix as scans leave it: its columns and cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Value
from django.db.models.expressions import Combinable

from scanner.check import Status
from scanner.columns import label_of
from scanner.models.cluster import Cluster

if TYPE_CHECKING:
    from scanner.models.namespace import Namespace


class Credential(models.Model):
    """A column of the matrix: "registry/quay.io", "tls", "token/kubernetes"."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="credentials", db_index=False)
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


_TEXT: Final[models.CharField[str, str]] = models.CharField()


def _counted(cells: CellQuerySet, status: Combinable, reason: Combinable) -> models.QuerySet[Any, Any]:
    groups = cells.annotate(slug=Value("", _TEXT), status_now=status, reason_now=reason).order_by()
    counted = groups.values("credential_id", "slug", "status_now", "reason_now").annotate(number=Count("*"))
    return counted.values_list("credential_id", "slug", "status_now", "reason_now", "number")


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
        there: models.QuerySet[Any, Any]
        if visible is None:
            cells = self.filter(credential__in=columns.values("pk"))
            stale = cluster.namespaces.filter(unseen, gone_at=None).values("pk")
            old, seen = cells.filter(namespace__in=stale), cells.exclude(namespace__in=stale) if any_stale else cells
            used = columns.filter(Exists(self.model.objects.filter(credential=OuterRef("pk"))))
            there = used.annotate(**nothing).values_list("pk", "slug", *nothing)
        else:
            cells = self.filter(namespace__in=visible.values("pk"))
            old = self.filter(namespace__in=visible.filter(unseen).values("pk"))
            seen = self.filter(namespace__in=visible.exclude(unseen).values("pk")) if any_stale else cells
            used = columns.filter(pk__in=cells.values("credential"))
            there = used.annotate(**nothing).values_list("pk", "slug", *nothing)
        hurt = seen.filter(status__in=[status for status in Status if status is not Status.OK])
        parts = [_counted(hurt, F("status"), F("reason"))]
        if any_stale:
            parts.append(_counted(old, Value(Status.UNKNOWN.value, _TEXT), Value("stale", _TEXT)))
        lines = list(there.union(*parts, all=True))
        slugs = {key: slug for key, slug, *_ in lines if slug}
        return [(slugs[key], *counted) for key, _, *counted in lines if key in slugs]

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
            # What is not well, Namespace by Namespace: PostgreSQL counts it from here. SQLite cannot (the status is a
            # parameter, so it does not see that the condition holds) and counts from `cell_counts`.
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
