"""Cells that come back by themselves: what turned bad while somebody had seen to it, and is so when that ends.

No scan says that an acknowledgement has ended, so there is no Transition to hear of. The planner asks for ends instead,
and ticks each off (`Acknowledgement.is_end_planned`). One whose Namespace is stale waits until it is seen again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.alerting.damping import WITHIN
from dashboard.alerting.grouping import CellKey, Change, changes_until
from dashboard.models import Acknowledgement
from scanner.check import Status
from scanner.models import Cell, Cluster, Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A cell that is not well, and whose silence ended at `ended_at`."""

    acknowledgement: int
    cell: Cell
    ended_at: datetime

    @property
    def key(self) -> CellKey:
        return self.cell.namespace_id, self.cell.credential.slug

    def change(self, times: Mapping[CellKey, Sequence[datetime]]) -> Change:
        """As a change of the cell, since when it is so; damped as of the end. `times` are those of its Transitions."""
        return Change(
            key=None,
            acknowledgement=self.acknowledgement,
            cluster=self.cell.namespace.cluster_id,
            namespace=self.cell.namespace_id,
            credential=self.cell.credential.slug,
            at=self.cell.since,
            status=self.cell.status,
            reason=self.cell.reason,
            changes=changes_until(times.get(self.key, ()), self.ended_at, within=WITHIN),
        )


def ended(*, now: datetime, limit: int) -> list[Acknowledgement]:
    """At most `limit` acknowledgements whose end was not planned yet, of Namespaces that can be believed; the ends that
    came first come first. Locked until the transaction ends."""
    if limit <= 0:
        return []
    return list(Acknowledgement.objects.to_plan(Freshness(Cluster.objects.all(), now=now))[:limit])


def returns(found: Collection[Acknowledgement]) -> list[Return]:
    """The cells that the ends in `found` give back, each once, by its last end. One query.

    Not those of an acknowledgement that ended earlier, because the cell changed: that change is heard of anyway.
    """
    if not found:
        return []
    rows = Cell.objects.filter(
        namespace__in={one.namespace_id for one in found},
        credential__slug__in={one.credential for one in found},
        namespace__gone_at=None,
    )
    hurt = rows.exclude(status=Status.OK).select_related("namespace__cluster", "credential")
    cells = {(cell.namespace_id, cell.credential.slug): cell for cell in hurt}
    last: dict[CellKey, Return] = {}
    for one in sorted(found, key=lambda one: (one.over_at, one.pk)):
        cell = cells.get((one.namespace_id, one.credential))
        if cell is not None and (one.is_snooze or _is_as_it_was(cell, one)):
            back = Return(acknowledgement=one.pk, cell=cell, ended_at=one.over_at)
            last[back.key] = back
    return list(last.values())


def _is_as_it_was(cell: Cell, one: Acknowledgement) -> bool:
    return (cell.status, cell.reason) == (one.status, one.reason) and cell.since <= one.created_at


def tick_off(found: Iterable[Acknowledgement]) -> None:
    Acknowledgement.objects.filter(pk__in=[one.pk for one in found]).update(is_end_planned=True)
