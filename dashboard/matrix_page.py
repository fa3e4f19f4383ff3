"""One page of the matrix: what the URL asks for, and the rows that answer it, in a constant number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.db.models import Exists, QuerySet
from django.urls import reverse

from dashboard.identity import is_operator
from dashboard.list_page import ListFilters, ListPage, clean, number, one_of, page_number
from dashboard.matrix import (
    CellRow,
    Column,
    ColumnCount,
    Matrix,
    NamespaceRow,
    Row,
    build_columns,
    build_matrix,
    sparkline,
)
from dashboard.models import Acknowledgement
from scanner.check import Status
from scanner.models import Cell, Cluster, Namespace, NamespaceQuerySet, Scan

ROWS: Final = (50, 100, 200)
STATUSES: Final = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)
#: Rows that are read at once where all are wanted.
PIECE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters(ListFilters):
    """What the matrix can be narrowed to."""

    q: str = ""
    status: str = ""
    credential: str = ""
    reason: str = ""
    owner: str = ""
    label: str = ""
    ack: str = ""
    rows: int = ROWS[0]

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filters:
        text = {name: clean(query.get(name, "")) for name in ("q", "credential", "reason", "owner", "label")}
        rows = number(query.get("rows", ""), ROWS[0])
        return cls(
            status=one_of(query.get("status", ""), STATUSES),
            ack=one_of(query.get("ack", ""), ("hide",)),
            rows=rows if rows in ROWS else ROWS[0],
            page=page_number(query),
            **text,
        )

    @property
    def active(self) -> bool:
        return any((self.q, self.status, self.credential, self.reason, self.owner, self.label, self.ack))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A status with how many Namespaces have it, as a link that shows only them or, when `on`, all again. Of `count`
    there are `settled` in which all that is not well is acknowledged."""

    status: Status
    word: str
    count: int
    settled: int
    url: str
    on: bool


class MatrixPage(ListPage[Filters]):
    """What the matrix shows `user` of `cluster`. Raises nothing."""

    def __init__(
        self, cluster: Cluster, user: Any, filters: Filters, *, path: str, cluster_in_url: str, now: datetime
    ) -> None:
        super().__init__(filters, path=path, cluster_in_url=cluster_in_url)
        self.size = filters.rows
        self.cluster = cluster
        self._now = now
        self._user = user
        self._visible = Namespace.objects.visible_to(user)

    @cached_property
    def _any_stale(self) -> bool:
        """Whether a Namespace of the cluster may be stale; asked with the tallies."""
        return self._tallied["any_stale"] != 0

    @cached_property
    def _counts(self) -> list[ColumnCount]:
        visible = None if is_operator(self._user) else self._visible.of_cluster(self.cluster)
        lines = Cell.objects.counts(self.cluster, now=self._now, visible=visible, any_stale=self._any_stale)
        return [ColumnCount(*line) for line in lines]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return build_columns(self._counts)

    @cached_property
    def reasons(self) -> list[str]:
        """Every reason to filter by, the most frequent first."""
        seen = Counter[str]()
        for count in self._counts:
            if count.status != Status.OK:
                seen[count.reason] += count.cells
        return [reason for reason, _ in seen.most_common()]

    def _matching(self, *, any_stale: bool) -> NamespaceQuerySet:
        """All filters but the status, which the tallies offer."""
        chosen = self.filters
        rows = self._visible.judged(self.cluster, now=self._now, credential=chosen.credential, any_stale=any_stale)
        if chosen.q:
            rows = rows.matching(chosen.q)
        if chosen.owner:
            rows = rows.owned_by(chosen.owner)
        if chosen.label:
            rows = rows.labelled(chosen.label)
        if chosen.reason:
            rows = rows.with_reason(chosen.reason, now=self._now, cluster=self.cluster, credential=chosen.credential)
        return rows

    @cached_property
    def _tallied(self) -> dict[str, int]:
        return self._matching(any_stale=True).tallies(self.cluster, now=self._now, settled=self._settled)

    @property
    def _settled(self) -> QuerySet[Any, Any]:
        """Keys of the Namespaces with nothing to see to: in the column that is shown alone, else at all."""
        if self.filters.credential:
            return Acknowledgement.objects.settled_cells(self._now, self.cluster, self.filters.credential)
        lately = Namespace.objects.of_cluster(self.cluster).exclude(self.cluster.unseen(self._now))
        return Acknowledgement.objects.settled_namespaces(self._now, among=lately)

    def _chosen(self, *, any_stale: bool) -> NamespaceQuerySet:
        """All that the list has over all its pages, in its order."""
        rows = self._matching(any_stale=any_stale)
        if self.filters.status:
            rows = rows.with_status_now(self.filters.status)
        if self.filters.ack:
            rows = rows.but(self._settled)
        return rows.worst_first()

    @property
    def total(self) -> int:
        return sum(self._tallied[status] for status in STATUSES)

    @property
    def headline(self) -> str:
        """How the Namespaces stand. What is unknown is never called well."""
        if not self.total and self.filters.active:
            return "No Namespace matches"
        text = f"{self.total} Namespace{'s' if self.total != 1 else ''}"
        if not self.total:
            return text
        told = self._tallied
        if count := told[Status.CRITICAL]:
            return f"{text}, {count} need{'s' if count == 1 else ''} repair"
        if count := told[Status.UNKNOWN]:
            return f"{text}, {count if count < self.total else 'all'} unknown"
        if count := told[Status.WARNING]:
            return f"{text}, {count} with warnings"
        return f"{text}, all well"

    @property
    def unreadable(self) -> int:
        return self._tallied["unreadable"]

    @cached_property
    def tallies(self) -> list[Tally]:
        chosen = self.filters.status
        return [
            Tally(
                status=status,
                word="well" if status is Status.OK else str(status),
                count=self._tallied[status],
                settled=self._hidden(status, always=True),
                url=self.url(status="" if chosen == status else str(status)),
                on=chosen == status,
            )
            for status in STATUSES
        ]

    @property
    def length(self) -> int:
        """How many Namespaces the list has over all its pages."""
        statuses = [Status(self.filters.status)] if self.filters.status else STATUSES
        return sum(self._tallied[status] - self._hidden(status) for status in statuses)

    def _hidden(self, status: Status, *, always: bool = False) -> int:
        """How many acknowledged Namespaces of `status` the list leaves out, or `always` would. What is well stays."""
        is_out = (always or self.filters.ack) and status is not Status.OK
        return self._tallied[f"{status}_settled"] if is_out else 0

    @cached_property
    def _found(self) -> list[dict[str, Any]]:
        """The rows of this page. Chosen by key first: what sorts ten thousand should not carry them whole."""
        if not self.length:
            return []
        chosen = self._chosen(any_stale=self._any_stale).values("pk")[self.span]
        again = Namespace.objects.judged(
            self.cluster, now=self._now, credential=self.filters.credential, any_stale=self._any_stale
        )
        return list(again.among(chosen).worst_first().matrix_rows())

    @cached_property
    def matrix(self) -> Matrix:
        return self._built(self._found)

    def _built(self, rows: list[dict[str, Any]]) -> Matrix:
        own = Acknowledgement.objects.over_cells(self._now, namespace="namespace_id", credential="credential__slug")
        cells = Cell.objects.matrix_cells([found["pk"] for found in rows]).annotate(seen_to=Exists(own)) if rows else ()
        return build_matrix(
            self.columns,
            (_namespace_row(found) for found in rows),
            (CellRow(*cell) for cell in cells),
            now=self._now,
            stale_after=self.cluster.stale_after,
        )

    def all_rows(self) -> Iterator[Row]:
        """The rows of all pages, read piece by piece."""
        keys = list(self._chosen(any_stale=True).values_list("pk", flat=True))
        for start in range(0, len(keys), PIECE):
            piece = keys[start : start + PIECE]
            place = {key: number for number, key in enumerate(piece)}
            found = sorted(Namespace.objects.with_keys(piece).matrix_rows(), key=lambda row: place[row["pk"]])
            yield from self._built(found).rows

    @property
    def has_trend(self) -> bool:
        """True for who sees all of the cluster: the trend counts all of it."""
        return is_operator(self._user)

    @cached_property
    def trend(self) -> str:
        """The path of a line: critical Namespaces of the cluster, by day."""
        if not self.has_trend:
            return ""
        return sparkline(Scan.objects.daily_critical(self.cluster, since=self._now - timedelta(days=30)))

    @property
    def plain_url(self) -> str:
        """All Namespaces."""
        return self.url(q="", status="", credential="", reason="", owner="", label="", ack="")

    @property
    def unchecked_url(self) -> str:
        return self.url(reason="not-checked", status="")

    @property
    def csv_url(self) -> str:
        """All of this list as CSV."""
        return self.url(path=reverse("export", args=["matrix"]), rows="")

    @property
    def rows_urls(self) -> list[tuple[int, str, bool]]:
        return [(rows, self.url(rows=rows if rows != ROWS[0] else ""), rows == self.filters.rows) for rows in ROWS]

    @cached_property
    def heads(self) -> list[tuple[Column, str, bool]]:
        """Columns with the link that shows the Namespaces they hurt, and whether that is what is shown now."""
        heads = []
        for column in self.columns:
            on = column.credential == self.filters.credential
            status = str(column.worst) if column.hurt and not on else ""
            heads.append((column, self.url(credential="" if on else column.credential, status=status), on))
        return heads


def _namespace_row(found: dict[str, Any]) -> NamespaceRow:
    count = found["owner_count"] or 0
    return NamespaceRow(
        pk=found["pk"],
        name=found["name"],
        status=found["status"],
        reason=found["reason"],
        scanned_at=found["scanned_at"],
        owner=found["owner"] or "",
        more_owners=max(0, count - 1),
        unreadable=frozenset(found["unreadable"]),
    )
