"""The matrix as values: plain rows in, what a page shows out. No Django, no database, no clock.

The database has already chosen, sorted and counted the rows (`NamespaceQuerySet.judged`); here they become a table
whose every cell says something, also where no row exists: "nothing here needs it" and "not checked" are not the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from scanner.check import Status, rank
from scanner.columns import label_of
from scanner.staleness import is_stale

#: Without one of these in a Namespace, the absence of a cell says nothing.
ESSENTIAL: Final = frozenset({"secrets", "pods", "serviceaccounts"})

KINDS: Final[Mapping[str, str]] = {
    "registry": "Registry",
    "token": "Token",
    "storage": "Storage",
    "tls": "Certificate",
    "secret": "Secret",
    "secrets": "Secret",
}

#: Reasons that a new pull Secret, made here, puts right.
REPAIRABLE: Final = frozenset({"missing", "elsewhere", "latent"})

#: Reasons that another login in the Secret that is there puts right. A second Secret would not: Pods that name the
#: first one never look at it.
REPLACEABLE: Final = frozenset(
    {"rejected", "denied", "malformed", "wrong-host", "wrong-type", "expired", "expiring", "shadowed"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceRow:
    """A Namespace as stored. `unreadable` are the resources that the API refused; `owner` is a name, "" for none."""

    pk: int
    name: str
    status: str
    reason: str
    scanned_at: datetime | None
    owner: str = ""
    more_owners: int = 0
    unreadable: frozenset[str] = frozenset()


# A page holds a thousand cells: structs are made, and written out for the tag of the page, many times faster than
# dataclasses.
class CellRow(msgspec.Struct, frozen=True, gc=False):
    """A cell as stored; `namespace` is the pk."""

    namespace: int
    credential: str
    status: str
    reason: str
    expires_at: datetime | None = None
    pod_count: int = 0
    is_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class ColumnCount:
    """How many cells of `credential` have this status and reason now, over all Namespaces the person may see. What is
    well need not be counted: a line with 0 says that the column is there."""

    credential: str
    status: str
    reason: str
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`worst` is the status that `hurt` counts; `hurt` 0 when all is well."""

    credential: str
    kind: str
    label: str
    worst: Status
    hurt: int


class ShownCell(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`status` None: nothing here needs it. `text` is the reason in words, `note` what to know beside it.
    `is_stored` is true when there is a drawer to open; `is_acknowledged` when somebody has seen to it."""

    credential: str
    status: Status | None
    text: str = ""
    note: str = ""
    is_stored: bool = False
    is_acknowledged: bool = False

    @property
    def spoken(self) -> str:
        """What a screen reader says of the cell."""
        if self.status is None:
            return "not needed here"
        words_ = [str(self.status)] if self.status is Status.OK or not self.text else [str(self.status), self.text]
        words_ += [self.note] if self.note else []
        return ", ".join([*words_, "acknowledged"] if self.is_acknowledged else words_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    pk: int
    name: str
    owner: str
    more_owners: int
    status: Status
    text: str
    cells: tuple[ShownCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def kind_of(credential: str) -> str:
    """The kind of a credential as a heading: "registry/quay.io" is a "Registry"."""
    kind = credential.partition("/")[0]
    return KINDS.get(kind, kind.replace("-", " ").capitalize())


def build_columns(counts: Iterable[ColumnCount]) -> tuple[Column, ...]:
    """The columns with any cell, most critical first, then by kind and name."""
    by_credential: dict[str, dict[Status, int]] = {}
    for count in counts:
        tally = by_credential.setdefault(count.credential, dict.fromkeys(Status, 0))
        tally[Status(count.status)] += count.cells
    columns = []
    for slug, tally in by_credential.items():
        bad = max((s for s in Status if tally[s] and s is not Status.OK), key=rank, default=Status.OK)
        columns.append(
            Column(
                credential=slug,
                kind=kind_of(slug),
                label=label_of(slug),
                worst=bad,
                hurt=0 if bad is Status.OK else tally[bad],
            )
        )
    critical = {slug: tally[Status.CRITICAL] for slug, tally in by_credential.items()}
    order = {kind: place for place, kind in enumerate(KINDS.values())}
    return tuple(sorted(columns, key=lambda c: (-critical[c.credential], order.get(c.kind, 99), c.kind, c.label)))


def build_matrix(
    columns: Iterable[Column],
    namespaces: Iterable[NamespaceRow],
    cells: Iterable[CellRow],
    *,
    now: datetime,
    stale_after: timedelta,
) -> Matrix:
    """Put `cells` under `columns`, in the order of `namespaces`. What was seen before `stale_after` is unknown."""
    columns = tuple(columns)
    stored: dict[tuple[int, str], CellRow] = {(cell.namespace, cell.credential): cell for cell in cells}
    rows = []
    for namespace in namespaces:
        is_old = is_stale(namespace.scanned_at, now=now, after=stale_after)
        shown = tuple(
            _shown(
                stored.get((namespace.pk, column.credential)), column.credential, namespace, is_stale=is_old, now=now
            )
            for column in columns
        )
        status = Status.UNKNOWN if is_old else Status(namespace.status)
        text = ("stale" if namespace.scanned_at else "not checked") if is_old else _text(namespace.reason)
        rows.append(
            Row(
                pk=namespace.pk,
                name=namespace.name,
                owner=namespace.owner,
                more_owners=namespace.more_owners,
                status=status,
                text=text,
                cells=shown,
            )
        )
    return Matrix(columns=columns, rows=tuple(rows))


def _shown(
    cell: CellRow | None, credential: str, namespace: NamespaceRow, *, is_stale: bool, now: datetime
) -> ShownCell:
    if cell is None:
        if namespace.scanned_at is None or not namespace.unreadable.isdisjoint(ESSENTIAL):
            return ShownCell(credential=credential, status=Status.UNKNOWN, text="not checked")
        return ShownCell(credential=credential, status=None)
    if is_stale:
        was = f"was {_text(cell.reason)}" if cell.status != Status.OK else "was well"
        return ShownCell(
            credential=credential,
            status=Status.UNKNOWN,
            text="stale",
            note=was,
            is_stored=True,
            is_acknowledged=cell.is_acknowledged,
        )
    status = Status(cell.status)
    text = "" if status is Status.OK else _text(cell.reason)
    return ShownCell(
        credential=credential,
        status=status,
        text=text,
        note=note(cell, now=now),
        is_stored=True,
        is_acknowledged=cell.is_acknowledged,
    )


def _text(reason: str) -> str:
    return reason.replace("-", " ")


def note(cell: CellRow, *, now: datetime) -> str:
    """The few words beside a reason: how long it lasts, or how many Pods it hurts; "" when there is nothing to add."""
    if cell.expires_at is not None and (cell.status == Status.OK or cell.reason in ("expiring", "expired")):
        left = words(cell.expires_at - now, bare=True)
        return f"{left} ago" if cell.expires_at <= now else left
    if cell.status != Status.OK and cell.pod_count:
        return f"{cell.pod_count} Pod{'s' if cell.pod_count != 1 else ''}"
    return ""


def sparkline(values: Sequence[int], *, width: int = 180, height: int = 36) -> str:
    """The `d` of an SVG path through `values`, oldest first; "" for fewer than three, which show no trend."""
    if len(values) < 3:
        return ""
    top = max(*values, 1)
    step = width / (len(values) - 1)
    points = (f"{place * step:.0f},{2 + (height - 4) * (1 - value / top):.1f}" for place, value in enumerate(values))
    return "M" + " L".join(points)


def words(length: timedelta, *, bare: bool = False) -> str:
    """A length of time as "26 min". Unless `bare`, a negative one is "26 min ago", a positive one "in 26 min"."""
    seconds = abs(length.total_seconds())
    for unit, size, below in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 2 * 86400)):
        if seconds < below:
            text = f"{int(seconds // size)} {unit}"
            break
    else:
        text = f"{int(seconds // 86400)} d"
    if bare:
        return text
    return f"{text} ago" if length.total_seconds() <= 0 else f"in {text}"
