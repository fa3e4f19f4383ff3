"""What metrics ask of the database: counts over all clusters at once, and the worst rows one by one.

A row begins with the key of its cluster, and goes on with the labels of its series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from django.db.models import Case, CharField, Count, F, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Concat

from dashboard.models import AcknowledgementQuerySet
from scanner.check import Status
from scanner.models import Cell, CellQuerySet, Cluster, Credential, Freshness, Namespace, Scan

#: Not ok, worst first.
HURT: Final = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING)
STALE: Final = "stale"


def namespaces(fresh: Freshness) -> Counter[tuple[int, str]]:
    """How many Namespaces of each cluster have each status now."""
    rows = Namespace.objects.present().filter(cluster__in=list(fresh.clusters)).order_by()
    told = rows.annotate(status_now=_now(fresh, "status", Status.UNKNOWN)).values("cluster_id", "status_now")
    counted = told.annotate(number=Count("*")).values_list("cluster_id", "status_now", "number")
    return Counter({(cluster, status): number for cluster, status, number in counted})


def hurt_namespaces(fresh: Freshness, *, most: int) -> list[tuple[int, str, str, str]]:
    """Cluster, name, status and reason of Namespaces that are not ok, at most `most`, the worst first."""
    rows = Namespace.objects.present().filter(~fresh.seen() | ~Q(status=Status.OK), cluster__in=list(fresh.clusters))
    told = rows.annotate(
        status_now=_now(fresh, "status", Status.UNKNOWN),
        reason_now=_now(fresh, "reason", STALE),
        order=Case(*(When(status_now=status, then=Value(place)) for place, status in enumerate(HURT))),
    )
    return list(
        told.order_by("order", "cluster", "name").values_list("cluster_id", "name", "status_now", "reason_now")[:most]
    )


def _now(fresh: Freshness, column: str, when_stale: str) -> Case:
    return Case(When(fresh.seen(), then=F(column)), default=Value(when_stale), output_field=CharField())


def hurt_cells(fresh: Freshness, *, most: int) -> list[tuple[int, str, str, str, str]]:
    """Cluster, Namespace, credential, status and reason of cells that are not ok, at most `most`, the worst first.

    One question for each status and kind of reason, and only while there is room: an index leads to the answer.
    """
    found: list[tuple[int, str, str, str, str]] = []
    for rows in _hurt_cells(fresh):
        if len(found) >= most:
            break
        columns = ("namespace__cluster_id", "namespace__name", "credential__slug", "status_now", "reason_now")
        found += rows.values_list(*columns)[: most - len(found)]
    return found


def _hurt_cells(fresh: Freshness) -> Iterator[CellQuerySet]:
    """In the order of the indexes `cell_counts` and `cell_of_column`, so that nothing is sorted, and the first ones are
    the same each time: series that come and go cost Prometheus more than those that stay."""
    columns = list(Credential.objects.of_clusters(fresh.clusters).values_list("pk", flat=True))
    stale = Namespace.objects.present().filter(~fresh.seen(), cluster__in=list(fresh.clusters)).values("pk")
    cells = Cell.objects.filter(credential__in=columns)
    unseen = {"status_now": Value(Status.UNKNOWN.value), "reason_now": Value(STALE)}
    for status in HURT:
        seen = cells.filter(status=status).exclude(namespace__in=stale)
        yield seen.annotate(status_now=F("status"), reason_now=F("reason")).order_by(
            "credential", "reason", "namespace"
        )
        if status is Status.UNKNOWN:
            yield cells.filter(namespace__in=stale).annotate(**unseen).order_by("credential", "namespace")


def first_ends(clusters: Collection[int]) -> list[tuple[int, str, datetime]]:
    """Cluster, credential, and when the first one of it ends."""
    # From the index of what ends (`cell_ending`) alone. By the bare column SQLite would take an index that is in its
    # order, and look at each cell for the rest.
    ends = Cell.objects.ending().order_by().annotate(column=F("credential_id") + 0)
    first = dict(ends.values("column").annotate(first=Min("expires_at")).values_list("column", "first"))
    columns = Credential.objects.of_clusters(clusters).order_by("pk").values_list("pk", "cluster_id", "slug")
    return [(cluster, slug, first[pk]) for pk, cluster, slug in columns if pk in first]


def ends(*, before: datetime, most: int) -> tuple[int, list[tuple[int, str, str, datetime]]]:
    """How many cells end before then; and cluster, Namespace, credential and end of at most `most`, the first first."""
    cells = Cell.objects.ending(until=before)
    columns = ("namespace__cluster_id", "namespace__name", "credential__slug", "expires_at")
    found = list(cells.order_by("expires_at", "namespace", "credential").values_list(*columns)[:most])
    return cells.count() if len(found) == most else len(found), found


def newest_scans(clusters: Iterable[Cluster]) -> tuple[dict[int, Scan], dict[int, Scan]]:
    """By cluster, of scans of all of it: the newest that ended, and the newest that ended well."""
    own = Scan.objects.of_whole_cluster().filter(cluster=OuterRef("pk")).order_by("-started_at", "-pk")
    ended = own.exclude(state=Scan.State.RUNNING).values("pk")[:1]
    good = own.filter(state=Scan.State.DONE).values("pk")[:1]
    known = Cluster.objects.filter(pk__in=[cluster.pk for cluster in clusters])
    pairs = list(known.annotate(ended=Subquery(ended), good=Subquery(good)).values_list("pk", "ended", "good"))
    scans = Scan.objects.in_bulk({pk for _, *two in pairs for pk in two if pk is not None})
    return {c: scans[pk] for c, pk, _ in pairs if pk in scans}, {c: scans[pk] for c, _, pk in pairs if pk in scans}


def scan_errors(clusters: Collection[int], *, since: datetime) -> list[tuple[int, str, int]]:
    """Cluster, kind of error, and how many scans of it or of one of its Namespaces failed so since then."""
    failed = Scan.objects.filter(cluster__in=list(clusters), state=Scan.State.FAILED, started_at__gte=since)
    counted = failed.order_by().values("cluster_id", "error_kind").annotate(number=Count("*"))
    return list(counted.order_by("cluster_id", "error_kind").values_list("cluster_id", "error_kind", "number"))


def acknowledgements(in_force: AcknowledgementQuerySet) -> dict[int, int]:
    """By cluster, how many cells are covered."""
    counted = (
        in_force.order_by()
        .values("namespace__cluster_id")
        .annotate(
            number=Count(Concat("namespace_id", Value(" "), "credential", output_field=CharField()), distinct=True)
        )
    )
    return dict(counted.values_list("namespace__cluster_id", "number"))


def states(rows: QuerySet[Any, Any]) -> dict[str, int]:
    """How many of `rows` are in each state."""
    return dict(rows.order_by().values("state").annotate(number=Count("*")).values_list("state", "number"))
