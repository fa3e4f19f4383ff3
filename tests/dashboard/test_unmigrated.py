"""A command that is run before the database has tables says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.migrations.recorder import MigrationRecorder

from dashboard.unmigrated import NOT_UP_TO_DATE, advice

ROOT = Path(__file__).parent.parent.parent


def test_a_command_before_the_first_start_says_what_to_do_and_no_traceback(tmp_path: Path) -> None:
    empty = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "CREDBOARD_DATA_DIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "cluster"], cwd=ROOT, env=empty, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "start Credboard once with `make run`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_a_database_of_an_older_version_is_told_from_an_empty_one() -> None:
    assert advice() == ""
    MigrationRecorder.Migration.objects.filter(app="scanner").order_by("-pk")[:1].get().delete()
    assert advice() == NOT_UP_TO_DATE
