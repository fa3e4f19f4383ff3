"""A database without the tables that this version needs: what to do, in one sentence."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

NOT_PREPARED: Final = (
    "The database has no tables of Credboard yet: start Credboard once with `make run`, or run `manage.py migrate`, "
    "then run this again."
)
NOT_UP_TO_DATE: Final = (
    "The database is of an older version of Credboard. Bring it up to date with `manage.py migrate`; "
    "`make run` does so when it starts."
)


def advice() -> str:
    """What to do before a command can use the database; "" when migrations are not what it lacks, or nobody knows."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        applied = executor.loader.applied_migrations
    except DatabaseError:
        return ""
    if not pending:
        return ""
    return NOT_UP_TO_DATE if applied else NOT_PREPARED
