"""Addresses of servers whose options, behind `?`, are none: found before the first connection is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import connection


@register()
def options_of_the_broker_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E003: REDIS_URL has an option behind ? that is none, so nothing could connect with it."""
    try:
        # This reads the address and all its options, and connects to nothing yet.
        redis.ConnectionPool.from_url(settings.REDIS_URL).make_connection()
    except (redis.RedisError, TypeError, ValueError) as error:
        return [
            checks.Error(
                f"REDIS_URL has an option that cannot be used: {_reason(error)}",
                hint="Correct what stands behind ? in it, or leave that out. Options are those of redis-py.",
                id="dashboard.E003",
            )
        ]
    return []


@register()
def options_of_the_database_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E004: DATABASE_URL has an option behind ? that is none, so nothing could connect with it."""
    if connection.vendor == "sqlite":
        return []
    # Only with PostgreSQL: it loads libpq.
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    # As Django hands them to psycopg, which takes three for itself and gives the others to libpq.
    options = connection.get_connection_params()
    for name in ("context", "cursor_factory", "prepare_threshold"):
        options.pop(name, None)
    # Django keeps this one to itself. It wants a package that is not installed and no connections that are kept.
    if "pool" in connection.settings_dict["OPTIONS"]:
        options["pool"] = "true"
    try:
        make_conninfo(**options)
    except ProgrammingError as error:
        return [
            checks.Error(
                f"DATABASE_URL has an option that cannot be used: {_reason(error)}",
                hint="Correct what stands behind ? in it, or leave that out. Options are those of libpq, such as "
                "sslmode=verify-full.",
                id="dashboard.E004",
            )
        ]
    return []


def _reason(error: Exception) -> str:
    """What the library says; it names options, and never the address."""
    return str(error).strip().removeprefix("AbstractConnection.__init__() ").rstrip(".")
