"""When a report is due next. Pure: no database, no clock; the rules of each time zone come from the tz database.

People choose an hour of their own clock, which now and then skips an hour or shows one twice. The rules:

- An hour that is skipped: the first instant after the gap (Lord Howe's gap is half an hour, Samoa once left out a day).
- An hour that comes twice: its first occurrence, once.
- Daily: every day that there is; one that a place skipped altogether has no report.
- Weekly: that weekday. Monthly: the first such weekday of the month, so that what is for Mondays never comes on a
  Sunday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

#: Names of the weekdays, as `date.weekday()` counts them.
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Frequency(StrEnum):
    OFF = "off"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


#: How long before the first report of a subscription its time begins.
LENGTHS: Final = {
    Frequency.DAILY: timedelta(days=1),
    Frequency.WEEKLY: timedelta(days=7),
    Frequency.MONTHLY: timedelta(days=31),
}


def following(frequency: str, weekday: int, hour: int, time_zone: str, after: datetime) -> datetime | None:
    """The first instant (aware UTC) after `after` at which a report is due; None when `frequency` is off.

    `weekday` is 0 for Monday to 6, and daily reports do not ask for it; `hour` is 0 to 23 on the clock of `time_zone`.
    Raises ValueError for a frequency or weekday that is none, ZoneInfoNotFoundError for a zone that is not known.
    """
    how_often = Frequency(frequency)
    if how_often is Frequency.OFF:
        return None
    if not 0 <= weekday < len(WEEKDAYS):
        raise ValueError(f"{weekday} is not a weekday")
    zone = ZoneInfo(time_zone)
    # From the day before: the instant of yesterday's date may still lie ahead, after a gap that spans midnight.
    begin = after.astimezone(zone).date() - timedelta(days=1)
    for day in _days(how_often, weekday, begin):
        at = instant(day, hour, zone)
        if at <= after or (how_often is Frequency.DAILY and at.astimezone(zone).date() != day):
            continue
        return at
    raise AssertionError("days go on")  # pragma: no cover


def instant(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """When the clocks of `zone` first show `hour` on `day`, or jump over it, as UTC."""
    wall = datetime.combine(day, time(hour), zone)
    at = wall.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return at
    # In a gap, fold=1 reads the clock by the offset that holds after it, which gives an instant before it (PEP 495).
    before = wall.replace(fold=1).astimezone(UTC)
    return _first_after_gap(before, at, zone)


def _first_after_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second between `before` and `after` at which the offset of `zone` changes."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def _days(frequency: Frequency, weekday: int, begin: date) -> Iterator[date]:
    """The days on which a report is due, from `begin` on."""
    if frequency is Frequency.MONTHLY:
        first = begin.replace(day=1)
        while True:
            day = first + timedelta(days=(weekday - first.weekday()) % 7)
            if day >= begin:
                yield day
            first = (first + timedelta(days=31)).replace(day=1)
    step = 1 if frequency is Frequency.DAILY else 7
    day = begin if frequency is Frequency.DAILY else begin + timedelta(days=(weekday - begin.weekday()) % 7)
    while True:
        yield day
        day += timedelta(days=step)
