"""What is critical already when a route begins: told on request, since routes otherwise hear of changes only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from dashboard.alerting.damping import News
from dashboard.alerting.grouping import Change, Entry, Group
from dashboard.alerting.naming import naming
from dashboard.alerting.planning import owners_of
from dashboard.alerting.wording import compose_digest
from dashboard.models import Acknowledgement, AlertMessage, AlertPlan, AlertRoute, ToldCell
from scanner.check import Status
from scanner.models import Cell


def send_present_trouble(route: AlertRoute, *, now: datetime) -> int:
    """Have the route told, as one message, of all that is critical now and its business. Returns of how many cells.

    A new route hears of changes only; this is for its beginning. The cells count as told, so their recovery is too.
    """
    with transaction.atomic():
        AlertPlan.ensure(now=now)
        AlertPlan.objects.select_for_update().get(pk=AlertPlan.THE_ONE)
        cells = _critical_cells(route, now=now)
        by_column: dict[tuple[int, str, str], list[Cell]] = {}
        for cell in cells:
            key = cell.namespace.cluster_id, cell.credential.slug, cell.reason
            by_column.setdefault(key, []).append(cell)
        _tell_of(route, cells)
        parts = [
            (_trouble(*key), [Entry(change=_present(cell)) for cell in found], 0)
            for key, found in sorted(by_column.items())
        ]
        if not parts:
            return 0
        names = naming({cell.namespace_id: cell.namespace.name for cell in cells}, zone=route.zone)
        written = compose_digest(parts, names=names, title=f"Critical now: {len(cells)} cells")
        group = parts[0][0]
        message = AlertMessage(
            route=route,
            cluster_id=group.cluster,
            credential=group.credential,
            news=group.news,
            status=group.status,
            reason=group.reason,
            due_at=now,
            title=written.title,
            body=written.body,
            severity=written.severity,
            state=AlertMessage.State.PENDING,
            sealed_at=now,
        )
        message.save()
    return len(cells)


def _critical_cells(route: AlertRoute, *, now: datetime) -> list[Cell]:
    """Without what somebody knows already, and without what was seen too long ago to be believed."""
    found = Cell.objects.filter(status=Status.CRITICAL, namespace__gone_at=None)
    if route.cluster_id is not None:
        found = found.filter(namespace__cluster=route.cluster_id)
    cells = list(found.select_related("namespace__cluster", "credential").order_by("namespace__name"))
    silent = Acknowledgement.objects.covered({cell.namespace_id for cell in cells}, now=now)
    owners = owners_of([route], {cell.namespace_id for cell in cells})
    return [
        cell
        for cell in cells
        if not cell.namespace.is_stale(now)
        and (cell.namespace_id, cell.credential.slug) not in silent
        and route.wishes.is_trouble(cell.status, cell.reason)
        and route.concerns(cell.namespace, cell.credential.slug, owners=owners.get(cell.namespace_id, []))
    ]


def _tell_of(route: AlertRoute, cells: Iterable[Cell]) -> None:
    ToldCell.objects.bulk_create(
        (
            ToldCell(
                route=route,
                namespace_id=cell.namespace_id,
                credential=cell.credential.slug,
                status=cell.status,
                reason=cell.reason,
                changed_at=cell.since,
            )
            for cell in cells
        ),
        ignore_conflicts=True,
    )


def _trouble(cluster: int, credential: str, reason: str) -> Group:
    return Group(cluster=cluster, credential=credential, news=News.TROUBLE, status=Status.CRITICAL, reason=reason)


def _present(cell: Cell) -> Change:
    return Change(
        key=None,
        cluster=cell.namespace.cluster_id,
        namespace=cell.namespace_id,
        credential=cell.credential.slug,
        at=cell.since,
        status=cell.status,
        reason=cell.reason,
    )
