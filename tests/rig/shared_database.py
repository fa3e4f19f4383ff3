"""A database that other processes can open as well. SQLite's for tests is in the memory of its own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, connections


@contextmanager
def shared_database(folder: Path) -> Iterator[str]:
    """Makes this thread's connection one to a database in `folder`, or leaves PostgreSQL's; gives its DATABASE_URL."""
    if connection.vendor == "postgresql":
        value = connection.settings_dict
        yield f"postgres://{value['USER']}:{value['PASSWORD']}@{value['HOST']}:{value['PORT']}/{value['NAME']}"
        return
    in_memory = connections["default"]
    in_file = connections.create_connection("default")
    in_file.settings_dict = {**in_memory.settings_dict, "NAME": str(folder / "credboard.sqlite3")}
    connections["default"] = in_file
    try:
        in_file.ensure_connection()
        in_memory.ensure_connection()
        in_memory.connection.backup(in_file.connection)  # migrated and empty, which to do again would take seconds
        yield f"sqlite:///{in_file.settings_dict['NAME']}"
    finally:
        in_file.close()
        connections["default"] = in_memory
