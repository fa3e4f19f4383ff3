"""The database: does it answer, is it new enough, has it this version's columns, can it be written to, does its clock
agree."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.db import DatabaseError, NotSupportedError, connection, transaction

from dashboard.doctor.advice import Advice
from dashboard.readiness import pending_migrations

ABOUT: Final = "database"
#: Seconds between two clocks from which on leases and due times go wrong by what people would notice.
MOST_SKEW: Final = 5
#: Bytes that must be free beside the file of SQLite: it grows, and its journal with it.
LEAST_FREE: Final = 200 * 1024**2

#: By what an error of PostgreSQL's client, or of SQLite, says -> what is wrong, and what to do. The words themselves
#: are not told: they may quote the address that was given, with the password.
_REFUSALS: Final = (
    (("password", 'role "'), "refuses user or password", "Correct user and password in DATABASE_URL."),
    (
        ('database "',),
        "has no database of that name, or does not let this user in",
        "Create it (createdb), or correct the name at the end of DATABASE_URL.",
    ),
    (
        ("resolve host", "translate host name"),
        "cannot be found: the name of its host means nothing here",
        "Correct the host in DATABASE_URL, or the DNS of this machine.",
    ),
    (
        ("connection refused",),
        "does not run there: nothing accepts connections at that host and port",
        "Start it, or correct host and port in DATABASE_URL.",
    ),
    (
        ("timeout expired", "timed out"),
        "does not answer in time",
        "Look whether a firewall or NetworkPolicy drops the connection, and at host and port in DATABASE_URL.",
    ),
    (
        ("too many", "remaining connection slots"),
        "has no connection left for us",
        "Raise its max_connections, or run fewer processes and threads.",
    ),
    (
        ("ssl", "certificate"),
        "and this machine do not agree on TLS",
        "Look at sslmode and sslrootcert in DATABASE_URL.",
    ),
    (
        ("pg_hba",),
        "does not let this machine in",
        "Let its pg_hba.conf allow this user from here.",
    ),
    (
        ("connection option", "invalid", "bad value"),
        "cannot be asked",
        "Look at what follows the question mark in DATABASE_URL.",
    ),
    (
        ("unable to open",),
        "cannot open its file",
        "Look whether its folder is there and may be written to by this user: CREDBOARD_DATA_DIR or DATABASE_URL.",
    ),
    (
        ("not a database", "malformed"),
        "finds something else, or a damaged file, where its file should be",
        "Restore the last backup: docs/backup.md.",
    ),
    (
        ("full", "no space", "could not extend"),
        "has no space left",
        "Free some on its disk, then manage.py prune.",
    ),
    (
        # What SQLite says when there is no room even for the files beside its own, of which opening makes one.
        ("disk i/o error",),
        "cannot use its disk, which is full or damaged",
        "Look how much is free there (df), free some, then manage.py prune; or see what the kernel says of it (dmesg).",
    ),
    (
        ("read-only", "readonly"),
        "may only be read from",
        "Let this user write to it; a standby cannot be used.",
    ),
    (("locked",), "is held by a long write of another process", "Ask again; end the process that does not let go."),
)
_UNKNOWN: Final = ("does not answer", "Look whether it runs, and at host, user, password and name in DATABASE_URL.")


def look(now: datetime) -> Iterator[Advice]:
    try:
        connection.ensure_connection()
        connection.check_database_version_supported()
        yield Advice.ok(ABOUT, f"{connection.display_name} {_version()} answers.")
        yield from _migrations()
        yield from _writing()
        yield from _space()
        yield from _clock()
    except NotSupportedError as error:
        yield Advice.problem(ABOUT, f"{error}", "Move to a newer version of the database.")
    except DatabaseError as error:
        found, remedy = refusal(error)
        yield Advice.problem(ABOUT, f"{connection.display_name} {found} ({type(error).__name__}).", remedy)


def refusal(error: DatabaseError) -> tuple[str, str]:
    """What is wrong, to follow the name of the database, and what to do; nothing of the words of the error, which may
    quote a password. PostgreSQL tells no code with which it refuses a connection, only words."""
    words = str(error).lower()
    known = ((found, remedy) for signs, found, remedy in _REFUSALS if any(sign in words for sign in signs))
    return next(known, _UNKNOWN)


def _version() -> str:
    return ".".join(map(str, connection.get_database_version()))


def _migrations() -> Iterator[Advice]:
    pending = pending_migrations()
    if pending:
        some = ", ".join(pending[:3]) + (" …" if len(pending) > 3 else "")
        yield Advice.problem(ABOUT, f"{len(pending)} migrations are missing: {some}.", "Run manage.py migrate.")
    else:
        yield Advice.ok(ABOUT, "It has all migrations of this version.")


def _writing() -> Iterator[Advice]:
    """Raises DatabaseError: also an UPDATE of no row is refused where nothing may be written."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET name = name WHERE 1 = 0")
    yield Advice.ok(ABOUT, "It can be written to.")


def _space() -> Iterator[Advice]:
    file = Path(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or not file.is_file():
        return
    free = shutil.disk_usage(file.parent).free
    if free < LEAST_FREE:
        yield Advice.warning(
            ABOUT, f"Only {free // 1024**2} MiB are free beside its file.", "Free some space on that disk."
        )


def _clock() -> Iterator[Advice]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        skew = abs((cursor.fetchone()[0] - datetime.now(tz=UTC)).total_seconds())
    if skew > MOST_SKEW:
        yield Advice.warning(
            ABOUT, f"Its clock and that of this machine are {skew:.0f} s apart.", "Let both set theirs by NTP."
        )
