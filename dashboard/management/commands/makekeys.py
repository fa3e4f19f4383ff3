"""`manage.py makekeys FOLDER`: the keys and passwords of a new installation, each in a file of its own."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet
from django.core.management import BaseCommand, CommandError

#: File -> how its content is made. Read by X_FILE variables (docs/settings.md).
_KEYS: Final[dict[str, Callable[[], str]]] = {
    "secret-key": lambda: secrets.token_urlsafe(50),
    "fingerprint-key": lambda: secrets.token_urlsafe(50),
    "encryption-keys": lambda: Fernet.generate_key().decode(),
}
_DATABASE_PASSWORD: Final = "database-password"  # noqa: S105 (the name of a file)
_DATABASE_URL: Final = "database-url"


class Command(BaseCommand):
    help = "Make the keys of a new installation as files in FOLDER. What is there already stays as it is."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="must exist, and be writable")
        parser.add_argument(
            "--database", metavar="HOST:PORT", help="also a password for PostgreSQL there, and the DATABASE_URL with it"
        )

    def handle(self, *, folder: Path, database: str | None, **options: Any) -> None:
        for name, make in _KEYS.items():
            self._write(folder / name, make, mode=0o400)
        if database is None:
            return
        password = folder / _DATABASE_PASSWORD
        # The image of PostgreSQL reads it as another user; nobody else mounts the folder.
        self._write(password, lambda: secrets.token_urlsafe(30), mode=0o444)
        url = f"postgres://credboard:{password.read_text(encoding='utf-8')}@{database}/credboard"
        self._write(folder / _DATABASE_URL, lambda: url, mode=0o400)

    def _write(self, path: Path, make: Callable[[], str], *, mode: int) -> None:
        """All or nothing: a key that was cut short would be one that nobody notices."""
        if path.exists():
            self.stdout.write(f"{path} is there.")
            return
        draft = path.with_name(f".{path.name}.new")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(make())
            draft.chmod(mode)
            draft.rename(path)
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written: {error.strerror}. Nothing that was there changed."
            ) from error
        self.stdout.write(f"{path} was made.")
