"""This version goes on with the databases of the former ones, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.postgres import PostgresServer

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RELEASED = sorted(FOLDER.glob("*.json"))


def upgrades(*arguments: str, database: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CREDBOARD_", "DATABASE"))}
    environment |= {"DATABASE_URL": database} if database else {}
    command = [sys.executable, "-m", "tests.upgrades", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", name="present")
def _present(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of this version, as it would be kept when it is released."""
    folder = tmp_path_factory.mktemp("made")
    made = upgrades("make", "present", "--into", str(folder))
    assert made.returncode == 0, made.stderr
    return folder / "present.json"


def assert_goes_on(file: Path, database: str = "") -> None:
    told = upgrades("check", str(file), database=database)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.fixture(name="empty")
def _empty(postgres: PostgresServer) -> str:
    """The address of an empty PostgreSQL database."""
    return postgres.new_database()


@pytest.mark.parametrize("file", RELEASED, ids=lambda path: path.stem)
def test_the_database_of_a_release_goes_on_with_sqlite(file: Path) -> None:
    assert_goes_on(file)


@pytest.mark.parametrize("file", RELEASED, ids=lambda path: path.stem)
def test_the_database_of_a_release_goes_on_with_postgresql(file: Path, empty: str) -> None:
    assert_goes_on(file, empty)


def test_what_this_version_would_leave_behind_can_be_loaded_with_sqlite(present: Path) -> None:
    assert_goes_on(present)


def test_what_this_version_would_leave_behind_can_be_loaded_with_postgresql(present: Path, empty: str) -> None:
    assert_goes_on(present, empty)


def test_a_row_of_every_model_is_in_it(present: Path) -> None:
    import json

    from django.apps import apps

    rows = json.loads(present.read_text(encoding="utf-8"))["rows"]
    ours = [model for model in apps.get_models() if model._meta.app_label in ("scanner", "dashboard")]
    assert [model._meta.label for model in ours if not rows.get(model._meta.label_lower)] == []


def test_a_row_that_is_lost_is_told(present: Path, tmp_path: Path) -> None:
    text = present.read_text(encoding="utf-8")
    changed = tmp_path / "changed.json"
    changed.write_text(text.replace('"username": "ada"', '"username": "someone"'), encoding="utf-8")
    assert upgrades("check", str(changed)).returncode == 1


def test_what_was_released_is_not_written_anew(present: Path) -> None:
    again = upgrades("make", "present", "--into", str(present.parent))
    assert again.returncode == 1
    assert "is there already" in again.stderr
