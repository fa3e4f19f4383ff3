"""The address of its broker, which `manage.py up` leaves for commands beside it while it runs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dashboard import env
from dashboard.management.commands import up

URL = "redis://127.0.0.1:16379/0"


@pytest.fixture(name="file")
def _file(tmp_path: Path, settings: Any) -> Path:
    settings.BROKER_FILE = tmp_path / "broker-url"
    return tmp_path / "broker-url"


def test_it_is_found_while_up_runs_and_gone_afterwards(file: Path) -> None:
    with ExitStack() as stack:
        assert up._told_to_others(stack, URL) == URL
        assert env.left_by_up(file, while_it_runs=True) == URL
        assert env.left_by_up(file, while_it_runs=True) == URL, "reading it changes nothing"

    assert not file.exists()
    assert env.left_by_up(file, while_it_runs=True) == ""


def test_what_an_up_that_was_killed_left_is_not_believed(file: Path) -> None:
    file.write_text(URL, encoding="utf-8")

    assert env.left_by_up(file, while_it_runs=True) == ""
    with ExitStack() as stack:
        up._told_to_others(stack, URL.replace("16379", "16380"))
        assert env.left_by_up(file, while_it_runs=True).endswith(":16380/0")
