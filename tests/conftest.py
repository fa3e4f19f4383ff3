"""The real parts come from tests/rig/plugin.py, which pyproject.toml loads. Here: no test knows of another."""

from __future__ import annotations

import pytest
from django.core.cache import caches


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    """What the product remembers from one request to the next: how often who asked, and whether Redis answered."""
    from dashboard import shell
    from dashboard.api import throttling

    for name in ("default", "shared"):
        caches[name].clear()
    throttling.counter._down_until = shell.broker._asked_at = float("-inf")
