"""A living database is copied, and an empty installation that gets the copy and the keys is the same again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from dashboard.management.commands import backup
from tests.rig.postgres import PostgresServer, find

ROOT = Path(__file__).parents[2]
KEY, OTHER = (
    "the key of one installation, fifty letters at the least",
    "another key, also fifty letters at the least!!",
)
ROUTE = "slack://canary/route"
FILL = f"""
from dashboard.encryption import encrypt
from dashboard.models import AlertRoute
from scanner.models import ClusterAccess
from tests import factories
cluster = factories.cluster("prod-eu", next_scan_at=None)
factories.namespace(cluster, "team-vision", cells={{"registry/quay.io": "critical missing"}})
ClusterAccess.objects.create(cluster=cluster, server="https://api.example.com", kubeconfig=encrypt("canary-kubeconfig"))
AlertRoute.objects.create(name="platform", url=encrypt({ROUTE!r}), service="slack", created_by="ada")
"""
READ = """
from dashboard.encryption import decrypt
from dashboard.models import AlertRoute
from scanner.models import Cell, ClusterAccess
print(Cell.objects.get().status, decrypt(AlertRoute.objects.get().url), decrypt(ClusterAccess.objects.get().kubeconfig))
"""


def manage(database: Path | str, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """`manage.py ARGUMENTS` with a file of SQLite as its database, or with what is at an address."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CREDBOARD_")},
        "DATABASE_URL": f"sqlite:///{database}" if isinstance(database, Path) else database,
        "CREDBOARD_SECRET_KEY": key,
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", name="living")
def _living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database that somebody writes to all the time."""
    database = tmp_path_factory.mktemp("living") / "credboard.sqlite3"
    assert manage(database, "migrate", "--verbosity=0").returncode == 0
    filled = manage(database, "shell", "-c", FILL)
    assert filled.returncode == 0, filled.stderr
    with closing(sqlite3.connect(database)) as ballast:
        ballast.execute("CREATE TABLE ballast AS SELECT zeroblob(40000000) AS much")
        ballast.commit()
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=60)) as busy:
            while not ended.wait(0.005):
                busy.execute("UPDATE scanner_namespace SET rank = rank + 1")
                busy.commit()

    writer = threading.Thread(target=write)
    writer.start()
    yield database
    ended.set()
    writer.join()


@pytest.fixture(scope="module", name="copy")
def _copy(living: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("backup") / "credboard.backup"
    done = manage(living, "backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert "Keep the keys as well." in done.stdout
    return copy


def test_a_restored_copy_with_its_keys_is_the_same_installation(copy: Path) -> None:
    read = manage(copy, "shell", "-c", READ)
    assert f"critical {ROUTE} canary-kubeconfig" in read.stdout, read.stderr
    assert "They decrypt what is stored (2)." in manage(copy, "doctor").stdout


def test_with_other_keys_the_doctor_says_so_plainly(copy: Path) -> None:
    told = manage(copy, "doctor", key=OTHER)
    assert told.returncode == 1
    assert told.stdout.count("cannot be read with these keys") == 2
    assert "Restore the keys that belong to this database" in told.stdout
    assert "canary" not in told.stdout + told.stderr


def test_a_dump_of_postgresql_with_its_keys_is_the_same_installation(postgres: PostgresServer, tmp_path: Path) -> None:
    """The two commands of docs/backup.md."""
    kept, restored, dump = postgres.new_database(), postgres.new_database(), str(tmp_path / "credboard.dump")
    pg_dump, pg_restore = (str(find(program) or program) for program in ("pg_dump", "pg_restore"))
    assert manage(kept, "migrate", "--verbosity=0").returncode == 0
    filled = manage(kept, "shell", "-c", FILL)
    assert filled.returncode == 0, filled.stderr

    subprocess.run([pg_dump, "--format=custom", "--no-owner", f"--file={dump}", kept], check=True)
    subprocess.run([pg_restore, "--no-owner", "--exit-on-error", f"--dbname={restored}", dump], check=True)

    assert "No migrations to apply" in manage(restored, "migrate").stdout
    read = manage(restored, "shell", "-c", READ)
    assert f"critical {ROUTE} canary-kubeconfig" in read.stdout, read.stderr
    assert manage(restored, "doctor", key=OTHER).stdout.count("cannot be read with these keys") == 2


def test_the_copy_is_one_file_for_its_owner_alone(copy: Path) -> None:
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert copy.stat().st_mode & 0o077 == 0


def test_a_file_that_is_there_is_not_overwritten(living: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("precious", encoding="utf-8")
    refused = manage(living, "backup", str(there))
    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    assert there.read_text(encoding="utf-8") == "precious"


@pytest.mark.django_db
def test_a_copy_that_is_cut_short_is_not_taken_for_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("asked on SQLite")

    def cut_short(self: backup.Command, file: Path) -> None:
        file.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(backup.Command, "_copy", cut_short)
    with pytest.raises(KeyboardInterrupt):
        call_command("backup", str(tmp_path / "file"))

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(living: Path, tmp_path: Path) -> None:
    assert "cannot be written: No such file" in manage(living, "backup", str(tmp_path / "no" / "file")).stderr


@pytest.mark.django_db
def test_postgresql_is_told_its_own_command(tmp_path: Path) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("asked on PostgreSQL")
    with pytest.raises(CommandError, match="pg_dump --format=custom"):
        call_command("backup", str(tmp_path / "file"))


def test_a_database_without_tables_is_no_backup(tmp_path: Path) -> None:
    done = manage(tmp_path / "empty.sqlite3", "backup", str(tmp_path / "copy.sqlite3"))

    assert done.returncode == 1
    assert "There is nothing to back up in " in done.stderr
    assert not (tmp_path / "copy.sqlite3").exists()
