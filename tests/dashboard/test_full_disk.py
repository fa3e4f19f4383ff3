"""Commands on a full disk: they say what was done and what to do, and lose nothing."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg.errors
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard import full_disk
from dashboard.encryption import decrypt, encrypt
from dashboard.models import AlertRoute, FailedSignIn
from scanner.models import AuditEntry


def full_sqlite() -> sqlite3.Error:
    """What SQLite really raises where its file cannot grow."""
    with closing(sqlite3.connect(":memory:")) as small:
        small.execute("CREATE TABLE rows (value)")
        small.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.Error, match="full") as caught:
            small.execute("INSERT INTO rows VALUES (zeroblob(100000))")
    return caught.value


def by_django(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause", [full_sqlite(), psycopg.errors.DiskFull("could not extend file")], ids=["SQLite", "PostgreSQL"]
)
def test_a_full_disk_is_told_from_other_trouble_of_the_database(cause: Exception) -> None:
    assert full_disk.found(by_django(cause)) == full_disk.DATABASE
    assert "run this again" in full_disk.advice(by_django(cause))


def test_other_trouble_is_not_said_to_be_a_full_disk() -> None:
    for other in (by_django(sqlite3.OperationalError("no such table: full")), PermissionError(errno.EACCES, "x", "y")):
        assert full_disk.found(other) == full_disk.advice(other) == ""


def test_a_file_that_does_not_fit_is_named() -> None:
    assert "left for /data/x." in full_disk.found(OSError(errno.ENOSPC, "No space left on device", "/data/x"))


def full_from(statement: str, *, after: int = 0) -> Callable[..., Any]:
    """Around statements: the disk is full when one that begins with `statement` comes once more than `after` times."""
    seen: list[str] = []

    def execute(then: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith(statement):
            seen.append(sql)
            if len(seen) > after:
                raise by_django(full_sqlite())
        return then(sql, *rest)

    return execute


@pytest.mark.django_db
def test_prune_says_what_went_before_the_disk_was_full() -> None:
    old = timezone.now() - timedelta(days=900)
    AuditEntry.objects.bulk_create(AuditEntry(at=old, actor="ada", action="x", outcome="done") for _ in range(10))
    FailedSignIn.objects.create(key="x", at=old)

    with (
        connection.execute_wrapper(full_from('DELETE FROM "dashboard_failedsignin"')),
        pytest.raises(CommandError, match=r"no space left\. 10 rows were deleted\. .* then run this again"),
    ):
        call_command("prune")

    assert (AuditEntry.objects.count(), FailedSignIn.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_rotatekeys_on_a_full_disk_leaves_every_secret_readable(settings: Settings) -> None:
    for name in "abc":
        AlertRoute.objects.create(name=name, url=encrypt(f"slack://{name}"), service="slack", created_by="ada")
    settings.ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)

    with (
        connection.execute_wrapper(full_from('UPDATE "dashboard_alertroute"', after=1)),
        pytest.raises(CommandError, match=r"alert route \(url\): 1 encrypted .* keep all keys"),
    ):
        call_command("rotatekeys")

    assert sorted(decrypt(one.url) for one in AlertRoute.objects.all()) == ["slack://a", "slack://b", "slack://c"]
