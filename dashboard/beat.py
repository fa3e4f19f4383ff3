"""Celery's scheduler, which also says that it turns, and goes on when the clock was set back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery.beat import PersistentScheduler

from dashboard import alive

#: A last run so far in time to come was noted by a clock that ran ahead.
AHEAD: Final = timedelta(seconds=5)


class Scheduler(PersistentScheduler):
    """Entries and their last runs in a file, as Celery's own; each turn of its loop is told to the health check."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        alive.touch("beat")
        self._set_back()
        return float(super().tick(*args, **kwargs))

    def _set_back(self) -> None:
        """Celery waits for an interval after the last run, so for as long as the clock was ahead besides: hours without
        a scan, a mail or an alert."""
        now = self.app.now()
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at and entry.last_run_at > now + AHEAD]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            self._heap = None  # made anew of the entries
