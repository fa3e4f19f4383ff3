"""A database that other processes can open as well. SQLite's for tests is in the memory of its own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
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
        call_command("migrate", verbosity=0)
        yield f"sqlite:///{in_file.settings_dict['NAME']}"
    finally:
        in_file.close()
        connections["default"] = in_memory
