"""The Celery application: `celery -A dashboard worker`, `celery -A dashboard beat`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("credboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["scanner", "dashboard"])


class _SaysThatItTurns(bootsteps.StartStopStep):
    """Touches a worker's file for the health check (`dashboard.alive`), from the timer of its own loop."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        # Only here: `python -m dashboard.alive` imports this package first, and must not find itself there.
        from dashboard import alive  # noqa: PLC0415

        alive.watch_worker(worker)


app.steps["worker"].add(_SaysThatItTurns)
