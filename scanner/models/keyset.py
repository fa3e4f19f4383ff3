"""Lists that go on where they stopped, whatever came or went in between: a page begins after the last row of the one
before, not at a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import models
from django.db.models import Q

M = TypeVar("M", bound=models.Model)


def in_order(
    rows: models.QuerySet[M], order: Sequence[str], *, after: Sequence[Any] | None = None
) -> models.QuerySet[M]:
    """`rows` by the columns `order` ("-" before one that descends), which together name one row; with `after`, the
    values of a row in these columns, only those that follow it. No column may hold NULL.

    Raises ValueError when `after` has another number of values.
    """
    if after is None:
        return rows.order_by(*order)
    columns = [name.removeprefix("-") for name in order]
    signs = ["lt" if name.startswith("-") else "gt" for name in order]
    # The first condition adds nothing but a range that an index can begin with.
    follows = Q((f"{columns[0]}__{signs[0]}e", after[0]))
    later = Q()
    for place, (column, sign, value) in enumerate(zip(columns, signs, after, strict=True)):
        same = Q(*zip(columns[:place], after[:place], strict=True))
        later |= same & Q((f"{column}__{sign}", value))
    return rows.filter(follows & later).order_by(*order)
