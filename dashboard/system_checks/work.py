"""Processes that work together: their database, their broker, and how long each waits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

from dashboard import env
from dashboard.system_checks.surroundings import is_here, is_sqlite

#: Times that a silent API server is asked (scanner/cluster/transport.py), and what is waited in between, in seconds.
_TRIES, _WAITS = 3, 2
#: Variables that only tests read.
_OF_TESTS: Final = frozenset({"CREDBOARD_CHROMIUM", "CREDBOARD_CACHE"})


@register()
def variables_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W003: a variable that begins with CREDBOARD_ is no setting, perhaps a slip of the pen."""
    return [
        checks.Warning(
            f"{name} is set, and is no setting of Credboard",
            hint=f"Did you mean {nearest}?" if nearest else "Unset it; docs/settings.md has all there are.",
            id="dashboard.W003",
        )
        for name, nearest in env.unknown(os.environ).items()
        if name not in _OF_TESTS
    ]


@register(deploy=True)
def sqlite_stays_on_one_machine(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W004: SQLite with a broker on another machine. A worker elsewhere cannot write to that file."""
    if not is_sqlite() or is_here(urlsplit(settings.REDIS_URL).hostname or ""):
        return []
    return [
        checks.Warning(
            "SQLite is used with a broker on another machine: workers that run elsewhere do not see its file",
            hint="Set DATABASE_URL to a PostgreSQL database, or run everything on this machine.",
            id="dashboard.W004",
        )
    ]


@register(deploy=True)
def tasks_are_not_sent_twice(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W007: CREDBOARD_REDELIVER_AFTER is shorter than a task may take, so one that runs is sent again."""
    limit = settings.CELERY_TASK_TIME_LIMIT
    if limit < settings.REDELIVER_AFTER:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_REDELIVER_AFTER={settings.REDELIVER_AFTER} is not longer than a task may take ({limit} s)",
            hint=f"Set it above {limit}, or unset it.",
            id="dashboard.W007",
        )
    ]


@register(deploy=True)
def lease_outlives_a_silent_server(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W008: CREDBOARD_SCAN_LEASE is shorter than all tries of CREDBOARD_API_TIMEOUT, so a slow scan is taken
    over while it works."""
    longest = _TRIES * settings.API_TIMEOUT + _WAITS
    if longest < settings.SCAN_LEASE:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_SCAN_LEASE={settings.SCAN_LEASE} is not longer than three tries of "
            f"CREDBOARD_API_TIMEOUT={settings.API_TIMEOUT} ({longest} s)",
            hint=f"Set CREDBOARD_SCAN_LEASE above {longest}, or CREDBOARD_API_TIMEOUT lower.",
            id="dashboard.W008",
        )
    ]
