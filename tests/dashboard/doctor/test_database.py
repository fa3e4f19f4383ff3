"""The doctor on the database and on what is stored encrypted in it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from dashboard import doctor
from dashboard.doctor import Level, database
from dashboard.encryption import encrypt
from dashboard.models import AlertRoute
from tests.dashboard.doctor.told import PASSWORD, levels, told, words
from tests.rig.postgres import PostgresServer
from tests.rig.process import free_port

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.django_db


class TestDatabase:
    def test_one_that_is_up_to_date_is_well(self) -> None:
        assert levels("database") == {Level.OK}

    def test_missing_migrations_are_told_and_the_rest_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database, "pending_migrations", lambda: ["scanner.0009_more"])

        assert "manage.py migrate" in words("database")
        assert levels("clusters") == {Level.WARNING}
        assert told("beat") == []

    def test_one_that_is_down_is_told_without_its_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise DatabaseError(f"password={PASSWORD}")

        monkeypatch.setattr(connection, "ensure_connection", fail)

        assert levels("database") == {Level.PROBLEM}
        assert "DATABASE_URL" in words("database")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"password": PASSWORD}, "refuses user or password"),
            ({"dbname": "elsewhere"}, "has no database of that name"),
            ({"port": 1}, "does not run there"),
            ({"host": "db.invalid"}, "the name of its host means nothing here"),
            ({"sslmode": "require"}, "do not agree on TLS"),
            ({"connect_timeout": "soon"}, "what follows the question mark"),
        ],
    )
    def test_why_postgresql_lets_nobody_in_is_told(
        self, postgres: PostgresServer, change: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(psycopg.Error) as refused:
            psycopg.connect(postgres.url, **change)

        words = " ".join(database.refusal(DatabaseError(str(refused.value))))

        assert told in words
        assert PASSWORD not in words

    def test_one_that_may_only_be_read_is_told(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "PRAGMA query_only=1" if connection.vendor == "sqlite" else "SET LOCAL transaction_read_only=1"
            )
            try:
                found = list(doctor.examine(now=timezone.now()))
            finally:
                cursor.execute("PRAGMA query_only=0" if connection.vendor == "sqlite" else "SELECT 1")

        (problem,) = [one for one in found if one.about == "database" and one.level is Level.PROBLEM]
        assert "may only be read from" in problem.found

    def test_a_disk_that_is_nearly_full_is_told(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
    ) -> None:
        file = tmp_path / "credboard.sqlite3"
        file.touch()
        monkeypatch.setattr(connection, "vendor", "sqlite")
        monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
        assert list(database._space()) == []

        monkeypatch.setattr(database, "LEAST_FREE", 2**62)

        (advice,) = database._space()
        assert advice.level is Level.WARNING

    def test_a_file_that_cannot_be_opened_is_no_matter_of_host_and_port(self, tmp_path: Path) -> None:
        with pytest.raises(sqlite3.OperationalError) as refused:
            sqlite3.connect(tmp_path / "no" / "folder").execute("SELECT 1")

        assert "CREDBOARD_DATA_DIR" in database.refusal(DatabaseError(str(refused.value)))[1]

    def test_a_disk_that_is_full_is_no_matter_of_host_and_port(self) -> None:
        # SQLite's words on a full file system: it cannot make the files that it opens beside its own.
        found, remedy = database.refusal(DatabaseError("disk I/O error"))

        assert "full" in found
        assert "manage.py prune" in remedy

    def test_a_server_that_is_not_there_ends_the_command_with_1_and_no_traceback(self) -> None:
        address = f"postgres://ada:{PASSWORD}@127.0.0.1:{free_port()}/credboard"
        broker = f"redis://127.0.0.1:{free_port()}/0"
        done = subprocess.run(
            [sys.executable, "manage.py", "doctor"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": address, "REDIS_URL": broker},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert (
            "problem  database: PostgreSQL does not run there: nothing accepts connections at that host and port (Op"
            in done.stdout
        )
        assert "problem  broker:" in done.stdout
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_a_rotation_that_is_half_done_is_told_until_it_is_ended(settings: Any) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    for number, keys in enumerate([(old,), (new, old)]):
        settings.ENCRYPTION_KEYS = keys
        url = encrypt("json://chat.example.com")
        AlertRoute.objects.create(name=f"chat {number}", url=url, service="json", created_by="ada")

    assert "1 of what is stored is encrypted with a former key" in words("keys")
    assert "manage.py rotatekeys" in words("keys")

    call_command("rotatekeys", stdout=StringIO())

    assert levels("keys") == {Level.OK}
    settings.ENCRYPTION_KEYS = (new,)
    assert levels("keys") == {Level.OK}


def test_keys_that_are_none_hide_nothing_else(settings: Any) -> None:
    AlertRoute.objects.create(name="chat", url=encrypt("json://chat.example.com"), service="json", created_by="ada")
    settings.ENCRYPTION_KEYS = (PASSWORD,)

    assert "key 1 is not 32 bytes" in words("stored")
    assert levels("mail") == {Level.OK}
