"""Cells: replaced by what the verdict says, with a row of history for each that changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from scanner.check import Status, rank
from scanner.models import NO_CELL, Cell, Cluster, Credential, Transition
from scanner.recording.rows import COLUMN_LIMIT, Changed, chunks, save, severity
from scanner.storable import fill, storable_text
from scanner.verdict import Cell as CellVerdict
from scanner.verdict import Verdict

#: Without these a cell cannot be judged, so its absence from a verdict means nothing.
ESSENTIAL: Final = frozenset({"secrets", "pods", "serviceaccounts"})


def add_columns(cluster: Cluster, changed: list[Changed], columns: dict[str, Credential]) -> None:
    wanted = {slug for one in changed for slug in cells_of(one.verdict)} - columns.keys()
    if wanted:
        Credential.objects.bulk_create(
            (Credential(cluster=cluster, slug=slug) for slug in sorted(wanted)), ignore_conflicts=True
        )
        for chunk in chunks(sorted(wanted)):
            for credential in Credential.objects.filter(cluster=cluster, slug__in=chunk):
                columns[credential.slug] = credential


def cells_of(verdict: Verdict) -> dict[str, CellVerdict]:
    """Cells by what their column is called in the database; of two that are called the same there, the worst."""
    return {storable_text(cell.credential, COLUMN_LIMIT): cell for cell in sorted(verdict.cells, key=severity)}


def record_cells(
    changed: list[Changed],
    columns: Mapping[str, Credential],
    standing: set[tuple[int, str]],
    *,
    is_known: bool,
    now: datetime,
) -> None:
    """`is_known`: the cluster was scanned before, so a Namespace that never was is news."""
    rows = Cell.objects.filter(namespace__in=[one.row for one in changed]).select_related("credential")
    present = {(cell.namespace_id, cell.credential.slug): cell for cell in rows}
    new: list[Cell] = []
    kept: list[Cell] = []
    states: list[tuple[Cell, State, State]] = []
    for row, verdict, _ in changed:
        is_news = is_known or row.scanned_at is not None
        for slug, told in cells_of(verdict).items():
            cell = present.pop((row.pk, slug), None)
            if cell is None:
                before = GONE
                cell = Cell(namespace=row, credential=columns[slug], since=now)
                new.append(cell)
            else:
                before = state_of(cell)
                kept.append(cell)
            _fill_cell(cell, told, now=now)
            if is_news:
                states.append((cell, before, state_of(cell)))
    # Where something could not be read or asked, a cell that the verdict does not speak of is not known to be gone.
    unseen = {one.row.pk for one in changed if not one.verdict.snapshot.unreadable.keys().isdisjoint(ESSENTIAL)}
    gone: list[int] = []
    for (namespace_id, slug), cell in present.items():
        before = state_of(cell)
        if namespace_id in unseen or (namespace_id, slug) in standing:
            _judge(cell, Status.UNKNOWN, "not-checked", now=now)
            kept.append(cell)
            states.append((cell, before, state_of(cell)))
        else:
            gone.append(cell.pk)
            states.append((cell, before, GONE))
    save(Cell, new, kept, _CELL_FIELDS)
    record_transitions(states, now=now)
    for chunk in chunks(gone):
        Cell.objects.filter(pk__in=chunk).delete()


State = tuple[str, str]
GONE: Final[State] = (NO_CELL, "")


def state_of(cell: Cell) -> State:
    return cell.status, cell.reason


def record_transitions(states: Iterable[tuple[Cell, State, State]], *, now: datetime) -> None:
    """Store which of the cells have another state after than before. One that comes or goes while it is well is not
    among them: Pods do so all day."""
    Transition.objects.bulk_create(
        (
            Transition(
                namespace_id=cell.namespace_id,
                credential_id=cell.credential_id,
                at=now,
                status_before=before[0],
                reason_before=before[1],
                status_after=after[0],
                reason_after=after[1],
            )
            for cell, before, after in states
            if before != after and not {before[0], after[0]} <= {NO_CELL, Status.OK}
        ),
        batch_size=500,
    )


_CELL_FIELDS: Final = (
    "status", "rank", "reason", "since", "expires_at", "expiry_source", "verified", "secret", "pod_count", "details",
)  # fmt: skip


def _judge(cell: Cell, status: Status, reason: str, *, now: datetime) -> None:
    if (cell.status, cell.reason) != (status, reason):
        cell.since = now
    fill(cell, status=status, rank=rank(status), reason=reason)


def _fill_cell(cell: Cell, told: CellVerdict, *, now: datetime) -> None:
    _judge(cell, told.status, told.reason, now=now)
    fill(
        cell,
        expires_at=told.expires_at,
        expiry_source=told.expiry_source,
        verified=told.verified,
        secret=told.secret,
        pod_count=told.pod_count,
        details={**told.details, "pods": told.pods, "chain": told.chain},
    )
