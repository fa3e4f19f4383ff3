"""Whether pages can be served, and what else is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from dashboard.metrics_rows import newest_scans
from dashboard.shell import broker
from scanner.models import Cluster
from scanner.staleness import is_stale

Scans = Literal["ok", "old", "none", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`database` is "ok" or "down", `migrations` "ok", "pending" or "unknown", `broker` "ok" or "down", `scans` "ok",
    "old" when a cluster was not scanned well for two intervals, "none" when none was ever, or "unknown"."""

    database: str
    migrations: str
    broker: str
    scans: Scans

    @property
    def is_ready(self) -> bool:
        """Without its database, or with another one than this version's, no page can be served. Everything else waits
        and is told on the pages: to take them away would help nobody."""
        return self.database == "ok" and self.migrations == "ok"

    @property
    def told(self) -> dict[str, str]:
        return {
            "status": "ready" if self.is_ready else "not ready",
            "database": self.database,
            "migrations": self.migrations,
            "broker": self.broker,
            "scans": self.scans,
        }


def readiness(*, now: datetime) -> Readiness:
    """How things are at `now`. Raises nothing: what cannot be known is "down" or "unknown"."""
    is_up = "ok" if broker.is_up() else "down"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        migrations = _migrations.state()
        scans: Scans = _scans(now) if migrations == "ok" else "unknown"
    except DatabaseError:
        return Readiness(database="down", migrations="unknown", broker=is_up, scans="unknown")
    return Readiness(database="ok", migrations=migrations, broker=is_up, scans=scans)


def pending_migrations() -> list[str]:
    """Migrations of this version that the database does not have. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


class _Migrations:
    """Once the database has all that this process brings it keeps them: so that is asked for until then only."""

    def __init__(self) -> None:
        self._are_done = False

    def state(self) -> str:
        if not self._are_done:
            self._are_done = not pending_migrations()
        return "ok" if self._are_done else "pending"


_migrations: Final = _Migrations()


def _scans(now: datetime) -> Scans:
    clusters = list(Cluster.objects.exclude(next_scan_at=None))
    _, good = newest_scans(clusters)
    if not good:
        return "none"
    old = any(c.pk not in good or is_stale(good[c.pk].started_at, now=now, after=c.stale_after) for c in clusters)
    return "old" if old else "ok"
