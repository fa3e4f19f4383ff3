"""What the page of expiry is asked for, and what it shows, as values. No database, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.utils.dateparse import parse_date

from dashboard.drawer import EXPIRY_SOURCES
from dashboard.list_page import ListFilters, clean, one_of, page_number
from dashboard.matrix import kind_of
from scanner.check import Status
from scanner.columns import label_of

#: Choices of "within", in days; "all" has no bound.
WITHIN: Final = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("all", "any time"))
DEFAULT_WITHIN: Final = "90"
#: Sources that promise nothing: a person wrote them, or they are worked out.
DECLARED: Final = frozenset({"declared", "external-secrets"})
GUESSED: Final = frozenset({"derived"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryFilters(ListFilters):
    """What the endings can be narrowed to, and as what they are shown."""

    credential: str = ""
    kind: str = ""
    within: str = ""
    view: str = ""
    month: str = ""
    day: str = ""
    at: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> ExpiryFilters:
        text = {name: clean(query.get(name, "")) for name in ("credential", "kind", "at")}
        within, view = query.get("within", ""), one_of(query.get("view", ""), ("calendar", "none"))
        return cls(
            within=within if within in dict(WITHIN) and within != DEFAULT_WITHIN else "",
            view=view,
            month=query.get("month", "")[:7],
            day=str(day_of(query.get("day", "")) or ""),
            page=1 if view else page_number(query),
            **text,
        )

    @property
    def active(self) -> bool:
        return any((self.credential, self.kind, self.within, self.day))


def day_of(text: str) -> date | None:
    """ "2026-12-03" as a day; None for what is none, or so far off that no time zone can move it."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and 1971 <= day.year <= 9998 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A credential that ends at one moment, in one Namespace or many: one robot account, told once. `status` is the
    worst of its cells now; `stale` of the `namespaces` were seen too long ago."""

    credential: str
    expires_at: datetime
    source: str
    status: Status
    namespaces: int
    stale: int
    namespace: str
    is_over: bool
    url: str

    @property
    def label(self) -> str:
        return label_of(self.credential)

    @property
    def kind(self) -> str:
        return kind_of(self.credential)

    @property
    def certainty(self) -> str:
        """How far the date is to be believed, with where it is from."""
        named = EXPIRY_SOURCES.get(self.source, self.source.replace("-", " "))
        if self.source in GUESSED:
            return f"probably: {named}"
        return f"declared: {named}" if self.source in DECLARED else f"says {named}" if named else "source not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """A day of the calendar. `more` endings are not shown in it."""

    day: date
    is_of_month: bool
    is_today: bool
    endings: tuple[Ending, ...]
    more: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endless:
    """Cells of a credential without an end: it says itself that it has none (`never`), or nothing tells."""

    label: str
    kind: str
    url: str
    never: int
    unknown: int
