"""Which messages there are to send: Transitions in, rows of the outbox out. Sends nothing and waits for nobody.

Everything that one call of `plan` does is one transaction under the lock of one row, so two planners take turns, a
killed one leaves no trace, and running it twice plans nothing twice.

A Transition is stamped with the beginning of its scan and becomes visible at its commit, at most a task's time limit
later; pks are given in between, so neither tells what is new. What was planned is ticked off row by row
(`PlannedTransition`), within the time in which something late may still appear (`LATEST`). What comes back when an
acknowledgement ends has no Transition: see `returning`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from dashboard.alerting.damping import CALM, WITHIN
from dashboard.alerting.desk import Desk
from dashboard.alerting.grouping import Change, changes_until, counted
from dashboard.alerting.returning import Return, ended, returns, tick_off
from dashboard.alerting.sealing import seal
from dashboard.models import Acknowledgement, AlertPlan, AlertRoute, PlannedTransition, ToldCell
from scanner.models import Namespace, Transition

#: How late after its `at` a Transition may become visible: a task's time limit, and clocks that are not the same.
LATEST: Final = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT) + timedelta(minutes=10)
BATCH: Final = 500


def plan(*, now: datetime, batch: int = BATCH) -> int:
    """Take in what changed and finish the messages that are due. Returns how many Transitions, and ends of
    acknowledgements after them, were taken in; when that is `batch`, there may be more."""
    AlertPlan.ensure(now=now)
    with transaction.atomic():
        progress = AlertPlan.objects.select_for_update().get(pk=AlertPlan.THE_ONE)
        routes = list(AlertRoute.objects.enabled().order_by("pk"))
        if progress.planned_until > now + LATEST:
            # The clock was set back: what happens now is not old, though what is heard of may be heard twice.
            progress.planned_until = now
        fresh = _fresh(progress.planned_until, batch)
        # Last, as a cell is told as it is now: no older change of it may be heard later.
        over = ended(now=now, limit=batch - len(fresh))
        if routes:
            _collect(routes, fresh, returns(over), now=now)
            seal(routes, now=now)
        PlannedTransition.objects.bulk_create(PlannedTransition(transition=one.pk, at=one.at) for one in fresh)
        if over:
            tick_off(over)
        if len(fresh) < batch:
            progress.planned_until = max(now, progress.planned_until)
            progress.save(update_fields=["planned_until"])
            # Twice, so that what a clock was wrong about is not taken for new.
            PlannedTransition.objects.filter(at__lt=progress.planned_until - 2 * LATEST).delete()
    return len(fresh) + len(over)


def _fresh(planned_until: datetime, batch: int) -> list[Transition]:
    """The oldest Transitions that were not planned yet."""
    done = PlannedTransition.objects.filter(transition=OuterRef("pk"))
    found = Transition.objects.filter(~Exists(done), at__gte=planned_until - LATEST)
    return list(found.select_related("namespace__cluster", "credential").order_by("at", "pk")[:batch])


def _collect(
    routes: Sequence[AlertRoute], fresh: Sequence[Transition], back: Sequence[Return], *, now: datetime
) -> None:
    """Have each route hear of the changes that are its business, of flapping cells that are calm now, and of those that
    somebody had seen to until now."""
    calm = list(
        ToldCell.objects.filter(route__in=routes, is_flapping=True, changed_at__lte=now - CALM).select_related(
            "namespace"
        )
    )
    namespaces = {one.namespace_id for one in fresh} | {told.namespace_id for told in calm}
    namespaces |= {one.cell.namespace_id for one in back}
    if not namespaces:
        return
    changes = _changes(fresh)
    silent = Acknowledgement.objects.covered(list(namespaces), now=now)
    returned = _returned([one for one in back if one.key not in silent])
    owners = owners_of(routes, namespaces)
    for route in routes:
        desk = Desk(route, namespaces)
        for told in calm:
            if told.route_id == route.pk:
                cell = told.namespace_id, told.credential
                cluster = told.namespace.cluster_id
                desk.collector.calm(cluster, cell, now=now, is_silent=cell in silent)
        for one, change in zip(fresh, changes, strict=True):
            if one.at >= route.listens_since and desk.concerns(
                one.namespace, one.credential.slug, owners.get(one.namespace_id, [])
            ):
                desk.collector.hear(change, is_silent=change.cell in silent)
        for again, change in returned:
            of = owners.get(change.namespace, [])
            if again.ended_at >= route.listens_since and desk.concerns(again.cell.namespace, change.credential, of):
                desk.collector.come_back(change)
        desk.save(now=now)


def _changes(fresh: Sequence[Transition]) -> list[Change]:
    if not fresh:
        return []
    around = Transition.objects.filter(
        namespace__in={one.namespace_id for one in fresh}, at__gt=fresh[0].at - WITHIN, at__lte=fresh[-1].at
    )
    times = counted(around.values_list("namespace_id", "credential__slug", "at"))
    return [
        Change(
            key=one.pk,
            cluster=one.namespace.cluster_id,
            namespace=one.namespace_id,
            credential=one.credential.slug,
            at=one.at,
            status=one.status_after,
            reason=one.reason_after,
            changes=changes_until(times[one.namespace_id, one.credential.slug], one.at, within=WITHIN),
        )
        for one in fresh
    ]


def _returned(back: Sequence[Return]) -> list[tuple[Return, Change]]:
    if not back:
        return []
    ends = [one.ended_at for one in back]
    around = Transition.objects.filter(
        namespace__in={one.cell.namespace_id for one in back}, at__gt=min(ends) - WITHIN, at__lte=max(ends)
    )
    times = counted(around.values_list("namespace_id", "credential__slug", "at"))
    return [(one, one.change(times)) for one in back]


def owners_of(routes: Iterable[AlertRoute], namespaces: Iterable[int]) -> dict[int, list[str]]:
    """The owners' names by Namespace; asked for only where a route asks for owners."""
    if not any(route.owner for route in routes):
        return {}
    found: dict[int, list[str]] = {}
    rows = Namespace.objects.filter(pk__in=namespaces, owners__isnull=False).values_list("pk", "owners__name")
    for pk, name in rows:
        found.setdefault(pk, []).append(name)
    return found
