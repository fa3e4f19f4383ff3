"""Celery's scheduler, which also says that it turns."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler

from dashboard import alive


class Scheduler(PersistentScheduler):
    """Entries and their last runs in a file, as Celery's own; each turn of its loop is told to the health check."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        alive.touch("beat")
        return float(super().tick(*args, **kwargs))
