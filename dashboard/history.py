"""How a cell stood over the last days, from what changed: transitions in, a strip of days out. No Django, no clock.

Scans record a change of status or reason, not every look. So between two changes the cell was what the first one made
it, and before the first one what that one says it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from scanner.check import Status, rank
from scanner.columns import label_of

#: How long the strip is, in days.
DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class State:
    """`status` "" where nothing in the Namespace needs the credential, or where Credboard did not look yet."""

    status: str
    reason: str = ""

    @property
    def words(self) -> str:
        """ "well", "missing", "not needed"."""
        if not self.status:
            return "not needed"
        return "well" if self.status == Status.OK else self.reason.replace("-", " ") or self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transition as stored. `credential` is its column, for lists of more than one cell."""

    at: datetime
    before: State
    after: State
    credential: str = ""

    @property
    def label(self) -> str:
        return label_of(self.credential)

    @property
    def words(self) -> str:
        """ "missing, was well"."""
        if not self.before.status:
            return f"{self.after.words}, first seen then"
        if not self.after.status:
            return f"not needed any more, was {self.before.words}"
        return f"{self.after.words}, was {self.before.words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A cell was in one state from `since` (included) to `until`."""

    state: State
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The worst state of a day; `status` "" when there was none to know."""

    day: date
    status: str
    words: str


def segments(
    changes: Iterable[Change],
    *,
    state: State,
    state_since: datetime,
    looking_since: datetime | None,
    stale_since: datetime | None,
    now: datetime,
) -> tuple[Segment, ...]:
    """What the cell was from `looking_since` (None: never looked) to `now`, oldest first, without gaps.

    `state` is what is stored now. Without a change it is known since `state_since`. What was last seen at `stale_since`
    (None: lately) is not known from then on.
    """
    ordered = sorted(changes, key=lambda change: change.at)
    if looking_since is None:
        return ()
    begin = looking_since if ordered else max(looking_since, state_since)
    marks = [(begin, ordered[0].before if ordered else state)]
    marks += [(max(change.at, begin), change.after) for change in ordered]
    if stale_since is not None:
        marks = [mark for mark in marks if mark[0] <= stale_since] or marks[:1]
        marks.append((max(stale_since, marks[-1][0]), State(Status.UNKNOWN, "stale")))
    ends = [at for at, _ in marks[1:]] + [now]
    return tuple(
        Segment(state=what, since=at, until=end) for (at, what), end in zip(marks, ends, strict=True) if at < end
    )


def days(told: Sequence[Segment], *, now: datetime, zone: tzinfo, length: int = DAYS) -> tuple[Day, ...]:
    """The worst state of each of the last `length` days in `zone`, oldest first."""
    today = now.astimezone(zone).date()
    shown = []
    for back in range(length - 1, -1, -1):
        day = today - timedelta(days=back)
        begin = datetime.combine(day, time.min, tzinfo=zone)
        end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
        within = [one.state for one in told if one.since < end and one.until > begin]
        known = [state for state in within if state.status]
        if known:
            state = max(known, key=lambda one: rank(one.status))
            shown.append(Day(day=day, status=str(state.status), words=state.words))
        else:
            shown.append(Day(day=day, status="", words="not needed" if within else "not known"))
    return tuple(shown)


def spoken(shown: Sequence[Day]) -> str:
    """The strip in one sentence: "Of 30 days 4 critical, 1 warning; 6 not known"."""
    counts = {str(status): sum(day.status == status for day in shown) for status in Status}
    parts = [f"{counts[status]} {'well' if status == Status.OK else status}" for status in counts if counts[status]]
    if unseen := sum(not day.status for day in shown):
        parts.append(f"{unseen} without a status")
    return f"Of the last {len(shown)} days: {', '.join(parts)}"
