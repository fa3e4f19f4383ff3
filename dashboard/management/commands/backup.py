"""`manage.py backup FILE`: a copy of the SQLite database, taken while Credboard runs."""

from __future__ import annotations

import os
import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from django.core.management import BaseCommand, CommandError
from django.db import connection

from dashboard import full_disk
from dashboard.unmigrated import NOT_PREPARED

#: All pages in one step. In WAL mode it reads from one moment's state and holds up no writer; in several steps every
#: write of another process in between would begin it anew (sqlite.org/c3ref/backup_finish.html), for ever in a scan.
_PAGES: Final = -1
_POSTGRESQL: Final = (
    "This is for SQLite. For PostgreSQL: pg_dump --format=custom --no-owner --file=FILE DATABASE_URL (docs/backup.md)."
)


class Command(BaseCommand):
    help = (
        "Copy the SQLite database into FILE, while everything runs. The keys are not in it: keep them as well, or "
        "nothing that is encrypted can be read again (docs/backup.md)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="where to write the copy; it must not be there yet")

    def handle(self, *, file: Path, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(_POSTGRESQL)
        if not connection.introspection.table_names():
            raise CommandError(f"There is nothing to back up in {connection.settings_dict['NAME']}. {NOT_PREPARED}")
        if file.exists():
            raise CommandError(f"{file} is there already. Name another file, or move that one away.")
        # What is killed half way must not look like a backup: the name is given to what is whole.
        draft = file.with_name(f".{file.name}.new")
        try:
            draft.unlink(missing_ok=True)
            # Made by us, and for us alone: the copy holds what people and clusters are called.
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from None
        try:
            self._copy(draft)
            draft.rename(file)
        except (sqlite3.Error, OSError) as error:
            remedy = " Free some space there, or name a file on another disk." if full_disk.found(error) else ""
            raise CommandError(f"The copy failed, and nothing is left of it: {error}.{remedy}") from None
        finally:
            draft.unlink(missing_ok=True)
        self.stdout.write(f"{file} has the database ({file.stat().st_size:,} bytes). Keep the keys as well.")

    def _copy(self, file: Path) -> None:
        connection.ensure_connection()
        with closing(sqlite3.connect(file)) as copy:
            connection.connection.backup(copy, pages=_PAGES)
            # One file instead of three, and proof that it can be read.
            copy.execute("PRAGMA journal_mode=DELETE")
            (state,) = copy.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged ({state})")
