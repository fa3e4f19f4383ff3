"""The tables of facts beside the project (``../shared/oracles``), for tests that must meet every row of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.tables import table

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "oracles"


@cache
def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = table(FOLDER / name)
    return read


def load(name: str) -> dict[str, Any]:
    """Return one table, for example ``load("01-kubelet-keyring.yaml")``; skip the calling test where it is absent."""
    if not (FOLDER / name).is_file():
        pytest.skip(f"the table of facts {name} is not here", allow_module_level=True)
    return _read(name)


def rows(name: str, section: str) -> list[Any]:
    """Return one section for ``parametrize``: its rows, each once; one that is skipped where the table is absent."""
    if not (FOLDER / name).is_file():
        missing = pytest.mark.skip(reason=f"the table of facts {name} is not here")
        return [pytest.param(None, marks=missing, id=f"no-{section}")]
    unique: list[Any] = []
    unique.extend(row for row in _read(name)[section] if row not in unique)
    return unique
