"""The work that waits: scans that are due, in the database, and tasks in the broker."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import redis
from django.conf import settings
from django.db.models import Count, Min

from scanner.models import Cluster, Namespace

log = logging.getLogger(__name__)

#: Celery's name for the list of tasks that wait, of a queue that nobody named.
QUEUE: Final = "celery"
TIMEOUT: Final = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How many scans are due that no worker was told of, and for how long the oldest of them has been."""

    number: int
    lag: timedelta


def due(*, now: datetime) -> dict[str, Due]:
    """What waits at `now`, as "cluster" and "namespace": scans of clusters, and of single Namespaces."""
    waiting = {"cluster": Cluster.objects.due(now), "namespace": Namespace.objects.due(now)}
    found = {}
    for kind, rows in waiting.items():
        told = rows.order_by().aggregate(number=Count("pk"), oldest=Min("next_scan_at"))
        found[kind] = Due(number=told["number"], lag=max(now - (told["oldest"] or now), timedelta(0)))
    return found


def tasks_waiting() -> int | None:
    """Tasks that workers have not taken yet; None when the broker does not answer."""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=None
        ) as connection:
            return int(connection.llen(QUEUE))
    except (redis.RedisError, OSError, ValueError) as error:
        log.debug("The broker does not answer (%s)", type(error).__name__)
        return None
