"""Redis, the workers behind it, and beat, which tells them what is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from dashboard import backlog, env
from dashboard.doctor.advice import Advice, Level
from scanner.models import Cluster

ABOUT: Final = "broker"
TIMEOUT: Final = 2.0  # seconds, of each question
ROLL_CALL: Final = 2.0  # seconds in which workers may answer
_TRACE: Final = "credboard:doctor"  # a key that is gone after a second
#: Beat looks for what is due every two seconds: what waits for longer waits for somebody.
LATE: Final = timedelta(seconds=30)
#: More tasks than that are not worked off before they are due again.
MANY: Final = 1_000
#: Beat sends so many in about ten seconds. Where it is gone, workers that answer have taken them all.
BUSY: Final = 10


def look(now: datetime) -> Iterator[Advice]:
    up = True
    for advice in look_at_broker():
        up = up and advice.level is not Level.PROBLEM
        yield advice
    workers = 0
    if up:
        workers = _workers()
        yield from _about_workers(workers)
    yield from _about_beat(now, workers=workers, broker_is_up=up)


def look_at_broker() -> Iterator[Advice]:
    """Whether it answers, which version it is, and how many tasks wait there."""
    where = _where(settings.REDIS_URL)
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=None
        ) as connection:
            told = connection.info("server")
            waiting = int(connection.llen(backlog.QUEUE))
            # A full broker, a replica, and one that cannot save answer every question, and take no task.
            connection.set(_TRACE, "1", ex=1)
    except redis.AuthenticationError:
        yield Advice.problem(ABOUT, f"{where} does not accept the password.", "Correct user and password in REDIS_URL.")
    except redis.ResponseError as error:
        yield Advice.problem(
            ABOUT,
            f"{where} answers, and takes no tasks ({type(error).__name__}): nothing is scanned.",
            "Look whether it is full (maxmemory), a replica, or cannot write to its disk; and at the rights of the "
            "user and the number of the database in REDIS_URL.",
        )
    except (redis.RedisError, OSError, ValueError) as error:
        yield Advice.problem(
            ABOUT,
            f"{where} does not answer ({type(error).__name__}): nothing is scanned.",
            f"{_remedy()} Work that is due waits and is not lost.",
        )
    else:
        yield Advice.ok(ABOUT, f"{where} answers ({_version(told)}).")
        if waiting >= MANY:
            yield Advice.warning(ABOUT, f"{waiting:,} tasks wait.", "Start more workers, or scan less often.")
        else:
            yield Advice.ok(ABOUT, f"{waiting:,} tasks wait.")


def _remedy() -> str:
    # Only an `up` that was killed leaves this file behind; the settings do not believe it then.
    file = settings.BROKER_FILE
    if not env.text("REDIS_URL") and file.exists() and not env.left_by_up(file, while_it_runs=True):
        return "manage.py up was killed, and its broker with it: start it again, or set REDIS_URL to another one."
    return "Look whether Redis runs, and at host and port in REDIS_URL."


def _version(told: dict[str, object]) -> str:
    if "valkey_version" in told:
        return f"Valkey {told['valkey_version']}"
    return f"Redis {told.get('redis_version', 'of an unknown version')}"


def _where(url: str) -> str:
    """Host and port, without user and password."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"
    except ValueError:
        return "The broker"


def _workers() -> int:
    """How many worker processes answer."""
    try:
        return len(current_app.control.inspect(timeout=ROLL_CALL).ping() or {})
    except (OperationalError, redis.RedisError, OSError):
        return 0


def _about_workers(number: int) -> Iterator[Advice]:
    if number:
        yield Advice.ok("workers", "1 answers." if number == 1 else f"{number} answer.")
    else:
        yield Advice.problem(
            "workers", f"None answered within {ROLL_CALL:g} s: nothing is scanned.", "Start one: manage.py start worker"
        )


def _about_beat(now: datetime, *, workers: int, broker_is_up: bool) -> Iterator[Advice]:
    """Beat has no address; but what it does shows in what is due, and since when."""
    scanned = Cluster.objects.exclude(next_scan_at=None).values_list("next_scan_at", "scan_interval")
    # Claiming a scan is what moves the time of the next one.
    newest = max(
        (following - timedelta(seconds=interval) for following, interval in scanned if following), default=None
    )
    if newest is None:
        yield Advice.warning(
            "clusters", "There is no cluster to scan.", "Add one: manage.py cluster NAME --kubeconfig FILE"
        )
        return
    lag = max(one.lag for one in backlog.due(now=now).values())
    if lag <= LATE:
        yield Advice.ok("beat", f"Scans that are due start; the last was handed out {_ago(now - newest)}.")
    elif broker_is_up and workers and (waiting := backlog.tasks_waiting() or 0) >= BUSY:
        yield Advice.problem(
            "workers",
            f"They do not keep up: scans have been due for {_span(lag)}, and {waiting:,} tasks wait.",
            "Start more of them, or let each do more at once (start worker --concurrency), or scan less often.",
        )
    elif broker_is_up and workers:
        yield Advice.problem(
            "beat", f"Scans have been due for {_span(lag)}, though workers answer.", "Start beat: manage.py start beat"
        )
    else:
        yield Advice.warning(
            "beat", f"Scans have been due for {_span(lag)}.", "They start once broker and workers are there."
        )


def _ago(span: timedelta) -> str:
    return f"{_span(span)} ago" if span > timedelta(0) else "just now"


def _span(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
