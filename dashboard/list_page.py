"""Lists that are shown page by page, with all that was chosen in their URL: of the matrix, findings and expiry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

#: Most characters that are looked for: a Namespace and an image's name fit.
MAX_TEXT: Final = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilters:
    """The state of a list, as its URL holds it. Subclasses add what can be chosen, and read what means nothing as the
    default, which URLs leave out."""

    page: int = 1


F = TypeVar("F", bound=ListFilters)


class ListPage(Generic[F]):
    """One page of a list. A page past the end is the last one.

    `path` is where the list is; `cluster_in_url` is the cluster as the URL named it, or "".
    """

    #: Rows of a page.
    size: int = 50

    def __init__(self, filters: F, *, path: str, cluster_in_url: str) -> None:
        self.filters = filters
        self._path = path
        self._cluster_in_url = cluster_in_url

    @property
    def length(self) -> int:
        """How many rows the list has over all its pages."""
        raise NotImplementedError

    @property
    def pages(self) -> int:
        return max(1, -(-self.length // self.size))

    @property
    def page(self) -> int:
        """Which one this is. The first is it without counting."""
        return min(self.filters.page, self.pages) if self.filters.page > 1 else 1

    @property
    def first(self) -> int:
        """The number of the first row that is shown; 0 where there is none."""
        return self._start + 1 if self.length else 0

    @property
    def last(self) -> int:
        return min(self._start + self.size, self.length)

    @property
    def span(self) -> slice:
        """The rows of this page, of all of them."""
        return slice(self._start, self._start + self.size)

    @property
    def _start(self) -> int:
        return (self.page - 1) * self.size

    def url(self, *, path: str = "", **changes: str | int) -> str:
        """This page with `changes`, or what stands at `path` with the same choices; back to the first page, unless
        they say which."""
        return address(path or self._path, {**self._choices, **changes})

    @cached_property
    def _choices(self) -> dict[str, str | int]:
        """What was chosen, by its name in the URL; "" for a default."""
        chosen = {
            field.name: value if (value := getattr(self.filters, field.name)) != field.default else ""
            for field in fields(self.filters)
            if field.name != "page"
        }
        return {"cluster": self._cluster_in_url, **chosen, "page": ""}

    @property
    def own_url(self) -> str:
        return self.url(page=self.page if self.page > 1 else "")

    @property
    def previous_url(self) -> str:
        return self.url(page=self.page - 1 if self.page > 2 else "") if self.page > 1 else ""

    @property
    def next_url(self) -> str:
        return self.url(page=self.page + 1) if self.page < self.pages else ""


def address(path: str, query: Mapping[str, object]) -> str:
    """`path` with those parts of `query` that say something."""
    told = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{told}" if told else path


def clean(text: str) -> str:
    """What can be looked for; PostgreSQL raises at a NUL."""
    return text.replace("\x00", "").strip()[:MAX_TEXT]


def number(text: str, default: int) -> int:
    """A whole number from a URL, of at most nine digits; `default` for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def page_number(query: Mapping[str, str]) -> int:
    """The page that a URL asks for, from 1."""
    return max(1, number(query.get("page", ""), 1))


def one_of(text: str, known: tuple[str, ...]) -> str:
    """`text` where it is known, else ""."""
    return text if text in known else ""
