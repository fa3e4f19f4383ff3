"""From changes of cells to messages: one for each credential and what became of it, however many Namespaces.

Pure. `Collector` is what one route has been told and is about to be told; the edge loads it, lets it hear what changed,
and stores what it then holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from dashboard.alerting.damping import News, Told, Wishes, calmed, heard

#: How long a message collects after the first change that it tells: about as long as a scan takes.
COLLECT: Final = timedelta(seconds=60)

#: A Namespace's pk and a credential's slug.
CellKey = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A cell got `status` ("" when nothing needs it any more) and `reason` at `at`. `key` is the Transition's pk; None
    for what is told without one. `acknowledgement` is the pk of the one whose end brought the cell back. `changes` as
    in `damping.heard`."""

    key: int | None
    cluster: int
    namespace: int
    credential: str
    at: datetime
    status: str
    reason: str
    changes: int = 1
    acknowledgement: int | None = None

    @property
    def cell(self) -> CellKey:
        return self.namespace, self.credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one message of a route is about. `status` and `reason` are "" where cells of all kinds go together."""

    cluster: int
    credential: str
    news: News
    status: str = ""
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Entry:
    """A cell in a message that still collects. `over_at`: since when it is no longer so; `over_by` is the key of the
    change that ended it, and `is_well` whether that was a recovery, which is then told here and nowhere else."""

    change: Change
    over_at: datetime | None = None
    over_by: int | None = None
    is_well: bool = False
    pk: int | None = None

    def end(self, change: Change, *, is_well: bool) -> None:
        self.over_at, self.over_by, self.is_well = change.at, change.key, is_well


@dataclass(slots=True, kw_only=True)
class Collector:
    """What one route knows (`told`) and the messages that collect for it (`entries`)."""

    wishes: Wishes
    told: dict[CellKey, Told] = field(default_factory=dict)
    entries: dict[Group, list[Entry]] = field(default_factory=dict)
    _current: dict[CellKey, list[tuple[Group, Entry]]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for group, entries in self.entries.items():
            for entry in entries:
                if entry.over_at is None:
                    self._current.setdefault(entry.change.cell, []).append((group, entry))

    def hear(self, change: Change, *, is_silent: bool = False) -> None:
        """Take one change in; changes of one cell in the order in which they happened."""
        told, news = heard(
            self.told.get(change.cell),
            status=change.status,
            reason=change.reason,
            at=change.at,
            changes=change.changes,
            wishes=self.wishes,
            is_silent=is_silent,
        )
        self._remember(change.cell, told)
        if news is not None:
            self._add(change, news)

    def come_back(self, change: Change) -> None:
        """Take in a cell that is silent no longer. One that flaps is told when it is calm."""
        told = self.told.get(change.cell)
        if self.wishes.is_trouble(change.status, change.reason) and not (told and told.is_flapping):
            self.hear(change)

    def calm(self, cluster: int, cell: CellKey, *, now: datetime, is_silent: bool = False) -> None:
        """Say how a flapping cell ended up, if it has been calm for long enough."""
        before = self.told[cell]
        told, news = calmed(before, wishes=self.wishes, now=now, is_silent=is_silent)
        self._remember(cell, told)
        if news is not None:
            change = Change(
                key=None,
                cluster=cluster,
                namespace=cell[0],
                credential=cell[1],
                at=before.changed_at,
                status=before.status,
                reason=before.reason,
            )
            self._add(change, news)

    def _remember(self, cell: CellKey, told: Told | None) -> None:
        if told is None:
            self.told.pop(cell, None)
        else:
            self.told[cell] = told

    def _add(self, change: Change, news: News) -> None:
        is_well = news is News.RECOVERY
        unsent = self._current.pop(change.cell, [])
        for _, entry in unsent:
            entry.end(change, is_well=is_well)
        # Trouble that nobody was told of yet is over: its message says so, and another one would be noise.
        if is_well and any(group.news is not News.RECOVERY for group, _ in unsent):
            return
        group, entry = group_of(change, news), Entry(change=change)
        self.entries.setdefault(group, []).append(entry)
        self._current[change.cell] = [(group, entry)]


def group_of(change: Change, news: News) -> Group:
    """The message that `change` belongs to."""
    named = {"status": change.status, "reason": change.reason} if news is News.TROUBLE else {}
    return Group(cluster=change.cluster, credential=change.credential, news=news, **named)


def counted(changes: Iterable[tuple[int, str, datetime]]) -> Mapping[CellKey, list[datetime]]:
    """When each cell changed, oldest first. `changes` are (Namespace's pk, credential, time)."""
    times: dict[CellKey, list[datetime]] = {}
    for namespace, credential, at in changes:
        times.setdefault((namespace, credential), []).append(at)
    return {cell: sorted(found) for cell, found in times.items()}


def changes_until(times: Iterable[datetime], at: datetime, *, within: timedelta) -> int:
    """How many of `times` lie in the length of time `within` that ends with `at`."""
    return sum(at - within < time <= at for time in times)
