"""The Celery application: `celery -A dashboard worker`, `celery -A dashboard beat`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps
from kombu.transport import redis

from dashboard import alive

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("credboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["scanner", "dashboard"])


class _SaysThatItTurns(bootsteps.StartStopStep):
    """Touches a worker's file for the health check (`dashboard.alive`), from the timer of its own loop."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        alive.watch_worker(worker)


app.steps["worker"].add(_SaysThatItTurns)


class _RestoresWhatItCan(redis.QoS):
    """Lets a worker outlive its broker while a task runs.

    Celery closes a lost connection in two steps, and kombu puts messages that are not acknowledged yet back into their
    queues in the second, when the first has taken the connection away: an AttributeError, which ends the worker. They
    need not be put back. Redis redelivers them after `visibility_timeout`, and what is due is in the database. A task
    that ends after all that is acknowledged, or rejected, over a channel that leads nowhere: the same error.
    """

    def restore_unacked_once(self, stderr: Any = None) -> None:
        if self._leads_somewhere:
            super().restore_unacked_once(stderr=stderr)

    def ack(self, delivery_tag: str) -> None:
        if self._leads_somewhere:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._leads_somewhere:
            super().reject(delivery_tag, requeue=requeue)

    @property
    def _leads_somewhere(self) -> bool:
        transport = self.channel.connection
        return transport is not None and transport.client is not None


redis.Channel.QoS = _RestoresWhatItCan
