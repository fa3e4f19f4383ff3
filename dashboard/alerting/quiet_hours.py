"""When a route is not to be disturbed, in its own time zone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Every day from `start` up to `end` by the clocks of `zone`; past midnight when `end` is not after `start`.

    A time that a day does not have (the clocks go forward over it) or has twice (they go back) is read as RFC 5545,
    section 3.3.5, says: by the offset before the change, and the first of the two.
    """

    start: time
    end: time
    zone: ZoneInfo

    def end_of(self, now: datetime) -> datetime | None:
        """When the quiet hours end in which the aware `now` lies, in UTC; None when it lies in none."""
        today = now.astimezone(self.zone).date()
        # Those that began yesterday may last until today. Only the instants are compared: in the night when clocks go
        # back, 02:30 by the clock says nothing about what was before what.
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            begins, ends = self._of(day)
            if begins <= now < ends:
                return ends
        return None

    def _of(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.start < self.end else day + timedelta(days=1)
        return self._instant(day, self.start), self._instant(last, self.end)

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at.replace(fold=0), tzinfo=self.zone).astimezone(UTC)
