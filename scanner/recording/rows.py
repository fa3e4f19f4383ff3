"""What is being stored of one batch, and how rows of the database are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from django.db import models

from scanner.check import Result, rank
from scanner.models import Namespace
from scanner.verdict import Cell as CellVerdict
from scanner.verdict import Verdict

NAME_LIMIT: Final = 253
COLUMN_LIMIT: Final = 320
M = TypeVar("M", bound=models.Model)
T = TypeVar("T")


class Changed(NamedTuple):
    """A Namespace whose verdict is not the one of its last scan. `digest` is that of `verdict`."""

    row: Namespace
    verdict: Verdict
    digest: str


def severity(one: CellVerdict | Result) -> int:
    """What to sort by so that of two that are the same in the database the worst is last, and stays."""
    return rank(one.status)


def save(model: type[M], new: list[M], kept: list[M], fields: Sequence[str]) -> None:
    """Insert `new` rows and write `fields` of those that were `kept`: by INSERT … ON CONFLICT, for which the database
    reads values, where `bulk_update` would have it parse a CASE with a branch for each row."""
    rows: Any = model._default_manager
    rows.bulk_create(new, batch_size=500)
    rows.bulk_create(kept, batch_size=500, update_conflicts=True, unique_fields=["pk"], update_fields=fields)


def chunks(values: list[T]) -> Iterator[list[T]]:
    """`values` in pieces that databases take in one IN (…)."""
    for start in range(0, len(values), 500):
        yield values[start : start + 500]
