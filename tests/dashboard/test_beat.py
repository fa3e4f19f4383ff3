from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dashboard.beat import Scheduler
from dashboard.celery import app


def test_after_the_clock_was_set_back_beat_goes_on_within_its_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDBOARD_RUN_DIR", str(tmp_path))
    scheduler = Scheduler(app=app, schedule_filename=str(tmp_path / "schedule"), lazy=True)
    scheduler.setup_schedule()
    scheduler.producer = None  # nothing is due, so nothing is sent
    try:
        for entry in scheduler.schedule.values():
            entry.last_run_at = app.now() + timedelta(hours=2)
        scheduler.populate_heap()
        assert scheduler.tick() <= 2, "the shortest interval"
    finally:
        scheduler.close()
