"""`manage.py start ROLE`: become one process of Credboard, for containers and service managers."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError, connection

from dashboard import full_disk, roles
from scanner.models import Cluster

#: Any number, as long as it is always the same one: PostgreSQL's advisory locks have no names.
_MIGRATION_LOCK: Final = 0x63726564


class Command(BaseCommand):
    help = (
        "Become one process of Credboard: web, worker, beat or watch. Or prepare the database, once for all: migrate."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        level: Any = {"choices": ("debug", "info", "warning", "error"), "default": "warning"}
        level["help"] = "of gunicorn or Celery (default %(default)s); CREDBOARD_LOG_LEVEL is for Credboard itself"
        kinds = parser.add_subparsers(dest="role", required=True)
        web = kinds.add_parser("web", help="the pages")
        web.add_argument("--bind", default="127.0.0.1:8000", help="address and port (default %(default)s)")
        web.add_argument("--workers", type=int, default=1, help="processes (default %(default)s)")
        web.add_argument("--threads", type=int, default=8, help="of each process (default %(default)s)")
        web.add_argument("--log-level", **level)
        worker = kinds.add_parser("worker", help="scans, probes and mails")
        worker.add_argument("--concurrency", type=int, default=2, help="tasks at once (default %(default)s)")
        worker.add_argument("--log-level", **level)
        kinds.add_parser("beat", help="tells workers when to look for what is due").add_argument("--log-level", **level)
        kinds.add_parser("watch", help="has Namespaces scanned as soon as something changes in them (optional)")
        migrate = kinds.add_parser("migrate", help="bring the database up to date, and make the first operator")
        migrate.add_argument("--wait", type=int, default=0, metavar="SECONDS", help="for a database that is starting")
        migrate.add_argument("--cluster", default="", help="also scan the cluster that this Pod runs in, by this name")
        migrate.add_argument("--include", action="append", default=[], metavar="NAMESPACE", help="only these of it")

    def handle(self, *, role: str, **options: Any) -> None:
        if role == "migrate":
            self._migrate(**{name: options[name] for name in ("wait", "cluster", "include")})
            return
        names = {"web": ("bind", "workers", "threads"), "worker": ("concurrency",), "beat": (), "watch": ()}[role]
        given = {name: options[name] for name in (*names, "log_level") if name in options}
        command: list[str] = getattr(roles, role)(**given)
        if role == "beat":
            _require_folder(Path(settings.CELERY_BEAT_SCHEDULE_FILENAME).parent)
        # Nothing of ours stays between the service manager and the process: signals reach it as they are sent.
        os.execv(command[0], command)  # noqa: S606

    def _migrate(self, *, wait: int, cluster: str, include: list[str]) -> None:
        _wait_for_database(self.stderr.write, seconds=wait)
        with _one_at_a_time():
            call_command("migrate", verbosity=1, interactive=False, stdout=self.stdout)
            call_command("ensure_admin", stdout=self.stdout)
            if cluster:
                self._scan_from_within(cluster, include)

    def _scan_from_within(self, name: str, include: list[str]) -> None:
        """Without asking the cluster, as `manage.py cluster` does: what migrates has no right to. This runs at every
        upgrade, so what people changed on the page since stays, but for `include`."""
        known = Cluster.objects.named(name).first() or Cluster.objects.from_within().first()
        if known is not None and known.name != name:
            # A second one would be the same cluster again, with each finding and alert twice.
            self.stdout.write(
                f"This cluster has been called {known.name} so far. Addresses hold its name, so it stays."
            )
        given = {"include": include} if include else {}
        _, is_new = Cluster.objects.update_or_create(
            name=known.name if known else name,
            defaults=given,
            create_defaults={**given, "scan_interval": settings.SCAN_INTERVAL},
        )
        self.stdout.write(f"The cluster {known.name if known else name} {'will be' if is_new else 'is'} scanned.")


def _require_folder(folder: Path) -> None:
    """Beat writes its schedule there, and would end with Celery's traceback where it may not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"its schedule")
    except OSError as error:
        raise CommandError(
            f"Beat keeps its schedule in {folder}, which cannot be written to: {error.strerror}. Free some space or "
            "let this user write there, or set CREDBOARD_DATA_DIR to another folder."
        ) from error


def _wait_for_database(tell: Callable[[str], object], *, seconds: int) -> None:
    """Raises CommandError when it lets nobody in for so long; until then `tell` is told why, whenever that changes."""
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        try:
            connection.ensure_connection()
            return
        except DatabaseError as error:
            why = full_disk.advice(error) or _refusal(error)
            if time.monotonic() >= deadline:
                raise CommandError(why) from None
            if why != told:
                tell(f"{why} Waiting for that, at most {seconds} s.")
            told = why
            time.sleep(1)


def _refusal(error: DatabaseError) -> str:
    from dashboard.doctor import database  # noqa: PLC0415 (it brings clients of all that the doctor asks)

    found, remedy = database.refusal(error)
    return f"{connection.display_name} {found} ({type(error).__name__}). {remedy}"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold back every other migration of this database until ours has ended, also when we are killed. SQLite has one
    writer anyway."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATION_LOCK])
