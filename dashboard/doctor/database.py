"""The database: does it answer, is it new enough, has it this version's columns, does its clock agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from django.db import DatabaseError, NotSupportedError, connection

from dashboard.doctor.advice import Advice
from dashboard.readiness import pending_migrations

ABOUT: Final = "database"
#: Seconds between two clocks from which on leases and due times go wrong by what people would notice.
MOST_SKEW: Final = 5


def look(now: datetime) -> Iterator[Advice]:
    try:
        connection.ensure_connection()
        connection.check_database_version_supported()
        yield Advice.ok(ABOUT, f"{connection.display_name} {_version()} answers.")
        yield from _migrations()
        yield from _clock()
    except NotSupportedError as error:
        yield Advice.problem(ABOUT, f"{error}", "Move to a newer version of the database.")
    except DatabaseError as error:
        # Its words may quote the address that it was given, with the password.
        yield Advice.problem(
            ABOUT,
            f"{connection.display_name} does not answer ({type(error).__name__}).",
            "Look whether it runs, and at host, user, password and name in DATABASE_URL.",
        )


def _version() -> str:
    return ".".join(map(str, connection.get_database_version()))


def _migrations() -> Iterator[Advice]:
    pending = pending_migrations()
    if pending:
        some = ", ".join(pending[:3]) + (" …" if len(pending) > 3 else "")
        yield Advice.problem(ABOUT, f"{len(pending)} migrations are missing: {some}.", "Run manage.py migrate.")
    else:
        yield Advice.ok(ABOUT, "It has all migrations of this version.")


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
