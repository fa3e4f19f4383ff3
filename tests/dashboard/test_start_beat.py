"""`manage.py start beat` where its schedule cannot be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture(name="became")
def _became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the process became, instead of this one."""
    became: list[str] = []
    monkeypatch.setattr("os.execv", lambda _, command: became.extend(command))
    return became


def test_a_folder_that_cannot_be_written_to_is_told_before_beat_starts(
    settings: Any, tmp_path: Path, became: list[str]
) -> None:
    (tmp_path / "file").touch()
    settings.CELERY_BEAT_SCHEDULE_FILENAME = str(tmp_path / "file" / "data" / "celerybeat-schedule")

    with pytest.raises(CommandError, match=r"/file/data, which cannot be written to: Not a directory.*DATA_DIR"):
        call_command("start", "beat")

    assert became == []


def test_a_folder_that_is_not_there_yet_is_made(settings: Any, tmp_path: Path, became: list[str]) -> None:
    settings.CELERY_BEAT_SCHEDULE_FILENAME = str(tmp_path / "data" / "celerybeat-schedule")

    call_command("start", "beat")

    assert "beat" in became
    assert list((tmp_path / "data").iterdir()) == []


def test_what_a_process_prints_is_not_cut_into_lines_of_the_log(settings: Any) -> None:
    """A traceback of Python's own is printed letter by letter, each of which Celery would log."""
    assert settings.CELERY_WORKER_REDIRECT_STDOUTS is False
