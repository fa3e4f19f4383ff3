"""Long lists by pages: each page ends with a cursor, the place of its last row in the order of the list.

A cursor is not secret and not signed: it holds the keys of a row, and whoever writes one of their own gets what they
may see after that place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db import models
from django.http import HttpRequest

from dashboard.api.problems import invalid
from scanner.models import in_order

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")

LARGEST_KEY: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list called `name`: columns ("-" before one that descends) with the type of each. Together they
    name one row, and none is ever NULL."""

    name: str
    columns: tuple[tuple[str, type[int] | type[str] | type[datetime]], ...]

    @property
    def by(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def cursor_after(self, row: Any) -> str:
        values = (getattr(row, column.removeprefix("-")) for column in self.by)
        plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        packed = json.dumps([self.name, *plain], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    def place(self, cursor: str) -> list[Any]:
        """The values in a cursor of this list. Raises Problem for anything else."""
        try:
            told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
            if not isinstance(told, list) or told[:1] != [self.name]:
                raise ValueError("of another list")
            return [_value(value, kind) for value, (_, kind) in zip(told[1:], self.columns, strict=True)]
        except (binascii.Error, ValueError, RecursionError):
            words = "This is no cursor of this list. Take it from 'next' of the page before."
            raise invalid("query.cursor", words) from None


def _value(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None or not 1970 <= at.year < 9000:
            raise ValueError("no moment of ours")
        return at
    if kind is int and type(value) is int and 0 <= value <= LARGEST_KEY:
        return value
    if kind is str and isinstance(value, str) and value.isprintable():
        return value
    raise ValueError("another type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`next` is the address of the page that follows, None on the last one."""

    items: Sequence[T]
    next: str | None


def page_of(
    request: HttpRequest,
    rows: models.QuerySet[M],
    order: Order,
    *,
    limit: int,
    cursor: str,
    read: Callable[[models.QuerySet[Any, Any]], models.QuerySet[M]] | None = None,
) -> Page[M]:
    """One page of `rows`, in one query. Raises Problem for a cursor of something else.

    With `read`, keys -> rows, keys are sorted, which an index has, and only the rows of the page are read whole.
    """
    chosen = in_order(rows, order.by, after=order.place(cursor) if cursor else None)
    wanted = chosen if read is None else in_order(read(chosen.values("pk")[: limit + 1]), order.by)
    found = list(wanted[: limit + 1])
    items = found[:limit]
    following = _next(request, order.cursor_after(items[-1])) if len(found) > limit else None
    request.next_page = following  # type: ignore[attr-defined]  # for the Link header
    return Page(items=items, next=following)


def _next(request: HttpRequest, cursor: str) -> str:
    query = [(name, value) for name, value in request.GET.items() if name != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*query, ('cursor', cursor)])}")


def shown(page: Page[M], as_item: Callable[[M], T]) -> Page[T]:
    """The page with each row as the API shows it."""
    return Page(items=[as_item(row) for row in page.items], next=page.next)
