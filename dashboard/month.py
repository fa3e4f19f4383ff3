"""A month as a grid of weeks. No Django, no clock."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """Of the years 1971 to 9998, so that its neighbours are months too."""

    year: int
    month: int

    @classmethod
    def read(cls, text: str, *, today: date) -> Month:
        """ "2026-12"; the month of `today` for anything else."""
        match = _MONTH.fullmatch(text)
        if match:
            year, month = int(match[1]), int(match[2])
            if 1971 <= year <= 9998 and 1 <= month <= 12:
                return cls(year, month)
        return cls(today.year, today.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def title(self) -> str:
        """ "December 2026"."""
        return f"{calendar.month_name[self.month]} {self.year}"

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def before(self) -> Month:
        last = self.first - timedelta(days=1)
        return Month(last.year, last.month)

    @property
    def after(self) -> Month:
        later = self.first + timedelta(days=31)
        return Month(later.year, later.month)

    @property
    def weeks(self) -> list[list[date]]:
        """Whole weeks from Monday to Sunday, with the days of the neighbours that they need."""
        return calendar.Calendar().monthdatescalendar(self.year, self.month)
