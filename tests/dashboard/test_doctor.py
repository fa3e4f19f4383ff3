"""What the doctor says of a healthy installation, and of one where a part is missing: with the real parts."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from dashboard import doctor
from dashboard.doctor import Advice, Level, clusters, database, machine
from dashboard.doctor import broker as broker_module
from dashboard.encryption import encrypt
from dashboard.mail.server import SmtpServer
from dashboard.models import AlertRoute, Mail
from scanner.cluster import ServerInfo
from scanner.models import Cluster, ClusterAccess
from tests import factories
from tests.rig.apiserver import KubeApiServer
from tests.rig.certificates import CertificateAuthority
from tests.rig.postgres import PostgresServer
from tests.rig.process import ServerProcess, free_port
from tests.rig.smtp import SmtpSink
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parents[2]
PASSWORD = "hunter2-in-an-address"
READER = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets", "serviceaccounts", "pods", "events"], "verbs": ["list"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["list"]},
]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_answers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test says otherwise: a broker that is down, and workers that are not asked."""
    settings.REDIS_URL = f"redis://ada:{PASSWORD}@127.0.0.1:{free_port()}/0"
    settings.SMTP_SERVER = None
    monkeypatch.setattr(broker_module, "_workers", lambda: 1)


@pytest.fixture
def broker(valkey: ValkeyServer, settings: Any) -> ValkeyServer:
    settings.REDIS_URL = valkey.url
    return valkey


def told(about: str) -> list[Advice]:
    """What is said of one part; whatever needs mending says how."""
    found = list(doctor.examine(now=timezone.now()))
    for one in found:
        assert one.found.endswith((".", ")", "?")), one
        assert bool(one.remedy) is (one.level is not Level.OK), one
        assert PASSWORD not in f"{one}"
    return [one for one in found if one.about == about]


def levels(about: str) -> set[Level]:
    return {one.level for one in told(about)}


def words(about: str) -> str:
    return " ".join(f"{one.found} {one.remedy}" for one in told(about))


class TestBroker:
    def test_one_that_answers_is_told_with_its_version(self, broker: ValkeyServer) -> None:
        assert levels("broker") == {Level.OK}
        assert f"127.0.0.1:{broker.port} answers (Valkey " in words("broker")

    def test_one_that_is_down_is_told_without_its_password(self) -> None:
        assert levels("broker") == {Level.PROBLEM}
        assert "REDIS_URL" in words("broker")

    def test_one_that_accepts_and_says_nothing_is_not_waited_for_long(self, settings: Any) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

            assert levels("broker") == {Level.PROBLEM}

    def test_a_wrong_password_is_told_as_such(self, broker: ValkeyServer, settings: Any) -> None:
        settings.REDIS_URL = f"redis://ada:{PASSWORD}@127.0.0.1:{broker.port}/0"

        assert "does not accept the password" in words("broker")

    def test_one_that_is_full_takes_no_tasks(self, broker: ValkeyServer) -> None:
        with redis.Redis.from_url(broker.url) as connection:
            connection.config_set("maxmemory", 1)
            try:
                assert levels("broker") == {Level.PROBLEM}
                assert "takes no tasks (OutOfMemoryError)" in words("broker")
                assert "maxmemory" in words("broker")
            finally:
                connection.config_set("maxmemory", 0)

    def test_a_database_of_it_that_is_not_there_is_told(self, broker: ValkeyServer, settings: Any) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{broker.port}/99"

        assert "the number of the database in REDIS_URL" in words("broker")


class TestWorkersAndBeat:
    @pytest.fixture(autouse=True)
    def _asks(self, broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch, _nothing_answers: None) -> None:
        app = Celery("asks", set_as_current=False)
        app.conf.update(broker_url=broker.url, broker_transport_options={"socket_connect_timeout": 1, "max_retries": 0})
        monkeypatch.undo()
        monkeypatch.setattr(broker_module, "current_app", app)

    @pytest.fixture
    def worker(self, broker: ValkeyServer, tmp_path: Path) -> Iterator[ServerProcess]:
        process = ServerProcess(
            [sys.executable, "-m", "celery", "-A", "dashboard", "--quiet", "worker", "--pool=solo", "--loglevel=info"],
            log=tmp_path / "worker.log",
            cwd=ROOT,
            environment={
                **os.environ,
                "REDIS_URL": broker.url,
                "DATABASE_URL": "sqlite://:memory:",
                "CREDBOARD_RUN_DIR": str(tmp_path),
                "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
            },
        )
        try:
            process.wait_until_ready(lambda: "ready." in (tmp_path / "worker.log").read_text("utf-8"), seconds=60)
            yield process
        finally:
            process.stop()

    def test_a_worker_that_runs_answers(self, worker: ServerProcess, settings: Any, broker: ValkeyServer) -> None:
        settings.REDIS_URL = broker.url
        factories.cluster()

        assert words("workers") == "1 answers. "
        assert levels("beat") == {Level.OK}

    def test_without_a_worker_it_says_how_to_start_one(self, settings: Any, broker: ValkeyServer) -> None:
        settings.REDIS_URL = broker.url
        factories.cluster(next_scan_at=timezone.now() - timedelta(minutes=9))

        assert levels("workers") == {Level.PROBLEM}
        assert "manage.py start worker" in words("workers")
        assert levels("beat") == {Level.WARNING}


def test_work_that_is_due_though_workers_answer_means_that_beat_is_gone(broker: ValkeyServer) -> None:
    factories.cluster(next_scan_at=timezone.now() - timedelta(minutes=9))

    assert levels("beat") == {Level.PROBLEM}
    assert "due for 9 min" in words("beat")
    assert "manage.py start beat" in words("beat")


def test_many_tasks_that_wait_are_told(broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "MANY", 0)

    assert levels("broker") == {Level.OK, Level.WARNING}


@pytest.mark.usefixtures("broker")
class TestClusters:
    @pytest.fixture
    def cluster(self, apiserver: KubeApiServer, tmp_path: Path) -> Callable[..., Cluster]:
        def make(user: str = "admin", **fields: Any) -> Cluster:
            path = apiserver.kubeconfig(tmp_path / f"{user}.kubeconfig", user=user)
            return factories.cluster(kubeconfig=str(path), scanned_at=timezone.now(), **fields)

        return make

    def test_one_that_may_be_read_is_well(self, cluster: Callable[..., Cluster]) -> None:
        cluster()

        assert levels("cluster prod-eu") == {Level.OK}
        assert "It answers (v1." in words("cluster prod-eu")
        assert "It may be read as a whole." in words("cluster prod-eu")

    def test_one_that_may_not_be_read_says_what_to_grant(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("stranger")
        cluster("stranger")

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert "namespaces, secrets, serviceaccounts, pods" in words("cluster prod-eu")
        assert "docs/rbac/cluster-reader.yaml" in words("cluster prod-eu")

    def test_the_documented_rights_are_enough(self, cluster: Callable[..., Cluster], apiserver: KubeApiServer) -> None:
        apiserver.add_user("doctor-reader")
        apiserver.grant("doctor-reader", READER)
        cluster("doctor-reader")

        assert levels("cluster prod-eu") == {Level.OK}

    def test_what_only_tells_owners_may_be_missing(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("half-reader")
        apiserver.grant("half-reader", READER[:2])
        cluster("half-reader")

        assert levels("cluster prod-eu") == {Level.OK, Level.WARNING}
        assert "but for rolebindings" in words("cluster prod-eu")

    def test_namespaces_that_are_named_are_asked_about_one_by_one(
        self, cluster: Callable[..., Cluster], apiserver: KubeApiServer
    ) -> None:
        apiserver.add_user("owner-reader")
        mine, other = apiserver.create_namespace(), apiserver.create_namespace()
        apiserver.grant("owner-reader", READER[1:], namespace=mine)
        cluster("owner-reader", include=[mine, other])

        assert f"The Namespace {mine} may be read." in words("cluster prod-eu")
        assert f"may not be listed in {other}" in words("cluster prod-eu")

    def test_one_that_does_not_answer_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        port = free_port()
        config = {
            "clusters": [{"name": "x", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
            "users": [{"name": "x", "user": {"token": PASSWORD}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        factories.cluster(kubeconfig=str(path), scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert f"127.0.0.1:{port}" in words("cluster prod-eu")

    @pytest.mark.parametrize(
        ("user", "authority", "told"),
        [
            ({"token": PASSWORD}, None, "does not accept Credboard's credentials"),
            ({"token": PASSWORD}, "another", "No trusted connection to"),
        ],
        ids=["token", "authority"],
    )
    def test_an_access_that_is_not_taken_is_told_as_such(
        self, apiserver: KubeApiServer, tmp_path: Path, user: dict[str, str], authority: str | None, told: str
    ) -> None:
        file = CertificateAuthority(tmp_path).ca_file if authority else apiserver.ca_file
        config = {
            "clusters": [{"name": "x", "cluster": {"server": apiserver.url, "certificate-authority": str(file)}}],
            "users": [{"name": "x", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        factories.cluster(kubeconfig=str(path), scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")
        assert told in words("cluster prod-eu")

    def test_a_kubeconfig_that_is_not_there_is_told(self) -> None:
        factories.cluster(kubeconfig="/nowhere/kubeconfig", scanned_at=timezone.now())

        assert Level.PROBLEM in levels("cluster prod-eu")

    def test_several_that_hang_are_waited_for_as_long_as_one(
        self, cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = threading.Barrier(2)

        def hangs(api: Any, row: Cluster, about: str) -> Iterator[Advice]:
            both.wait(60)  # which would break if the first were asked to its end before the second
            yield Advice.ok(about, "It answers.")

        monkeypatch.setattr(clusters, "_ask", hangs)
        first = cluster()
        factories.cluster("prod-us", kubeconfig=first.kubeconfig, scanned_at=timezone.now())

        assert levels("cluster prod-eu") == {Level.OK}

    @pytest.mark.parametrize(("days", "told"), [(-1, Level.PROBLEM), (10, Level.WARNING), (30, Level.OK)])
    def test_when_our_own_access_ends_is_told(self, cluster: Callable[..., Cluster], days: int, told: Level) -> None:
        ends = timezone.now() + timedelta(days=days)
        ClusterAccess.objects.create(cluster=cluster(), expires_at=ends)

        assert levels("cluster prod-eu") == {Level.OK, told}
        assert (f"{ends:%Y-%m-%d %H:%M} UTC" in words("cluster prod-eu")) is (told is not Level.OK)

    def test_one_that_is_set_aside_is_not_asked(self) -> None:
        factories.cluster(kubeconfig="/nowhere/kubeconfig", next_scan_at=None)

        assert levels("cluster prod-eu") == {Level.OK}

    @pytest.mark.parametrize(("minutes", "level"), [(1, Level.OK), (30, Level.PROBLEM), (None, Level.WARNING)])
    def test_old_scans_are_told(
        self, cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch, minutes: int | None, level: Level
    ) -> None:
        monkeypatch.setattr(clusters, "connect", lambda *_, **__: nullcontext())
        monkeypatch.setattr(clusters, "_ask", lambda *_: iter(()))
        at = None if minutes is None else timezone.now() - timedelta(minutes=minutes)
        factories.cluster(scanned_at=at)

        assert levels("cluster prod-eu") == {level}

    @pytest.mark.parametrize(
        ("version", "minor", "minutes", "level"),
        [
            ("v1.34.1", 34, 0, {Level.OK}),
            ("v1.19.0", 19, None, {Level.WARNING}),
            ("", None, None, {Level.WARNING}),
            ("v1.34.1", 34, 5, {Level.OK, Level.WARNING}),
        ],
    )
    def test_old_versions_and_clocks_that_go_wrong_are_told(
        self, version: str, minor: int | None, minutes: int | None, level: set[Level]
    ) -> None:
        clock = None if minutes is None else datetime.now(tz=UTC) - timedelta(minutes=minutes)
        info = ServerInfo(version=version, minor=minor, clock=clock)

        assert {one.level for one in clusters._server(info, "x")} == level


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

        words = " ".join(database._refusal(DatabaseError(str(refused.value))))

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

        assert "CREDBOARD_DATA_DIR" in database._refusal(DatabaseError(str(refused.value)))[1]

    def test_a_disk_that_is_full_is_no_matter_of_host_and_port(self) -> None:
        # SQLite's words on a full file system: it cannot make the files that it opens beside its own.
        found, remedy = database._refusal(DatabaseError("disk I/O error"))

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


class TestMachine:
    def test_static_files_that_were_not_collected_are_told(self, settings: Any, tmp_path: Path) -> None:
        settings.STATIC_ROOT = tmp_path
        assert "manage.py collectstatic" in words("static files")
        (tmp_path / "staticfiles.json").write_text("{}")
        assert levels("static files") == {Level.OK}

    def test_the_time_zone_database_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert levels("time zones") == {Level.OK}
        monkeypatch.setattr(machine, "_A_ZONE", "Nowhere/At_All")
        assert levels("time zones") == {Level.PROBLEM}

    def test_settings_that_are_no_good_together_are_told(self, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]

        settings.SECRET_KEY, settings.SECRET_KEY_IS_EPHEMERAL = "too-short", False

        assert "dashboard.W006" in words("settings")
        assert "security.W009" in words("settings")
        assert "security.W004" not in words("settings")


class TestMail:
    def test_mail_that_is_off_is_no_problem(self) -> None:
        assert levels("mail") == {Level.OK}

    def test_a_server_that_does_not_answer_is_told(self, settings: Any) -> None:
        settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=free_port(), security="none", password=PASSWORD)

        assert levels("mail") == {Level.PROBLEM}
        assert "CREDBOARD_SMTP_HOST" in words("mail")

    def test_mails_that_failed_are_counted(self, settings: Any) -> None:
        settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=free_port(), security="none")
        Mail.objects.create(key="a", kind="report", to="grace@example.com", subject="x", text="x", state="failed")

        assert "Mails that could not be sent: 1." in words("mail")

    def test_a_server_that_talks_to_us_is_well_and_gets_no_mail(self, settings: Any) -> None:
        with SmtpSink() as sink:
            settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=sink.port, security="none")

            assert levels("mail") == {Level.OK}
            assert f"127.0.0.1:{sink.port} talks to us" in words("mail")
            assert sink.messages == []

    def test_a_password_that_is_refused_is_told_and_not_shown(self, settings: Any) -> None:
        with SmtpSink(users={"ada": "another"}) as sink:
            settings.SMTP_SERVER = SmtpServer(
                host="127.0.0.1", port=sink.port, security="none", user="ada", password=PASSWORD
            )

            assert levels("mail") == {Level.PROBLEM}
            assert "CREDBOARD_SMTP_USER" in words("mail")


class TestCommand:
    def test_it_ends_with_1_when_there_is_a_problem_and_says_what_to_do(self) -> None:
        out = StringIO()

        with pytest.raises(SystemExit) as ended:
            call_command("doctor", stdout=out)

        assert ended.value.code == 1
        assert "problem  broker: 127.0.0.1:" in out.getvalue()
        assert "→ Look whether Redis runs" in out.getvalue()
        assert PASSWORD not in out.getvalue()

    def test_it_ends_with_0_when_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        well = [Advice.ok("a", "Fine."), Advice.warning("b", "So so.", "Look.")]
        monkeypatch.setattr("dashboard.management.commands.doctor.examine", lambda now: iter(well))
        out = StringIO()

        call_command("doctor", stdout=out)

        assert "Problems: 0. Warnings: 1." in out.getvalue()

    def test_it_tells_programs_the_same(self) -> None:
        out = StringIO()

        with pytest.raises(SystemExit):
            call_command("doctor", "--format", "json", stdout=out)

        told = json.loads(out.getvalue())
        assert told["ok"] is False
        assert {"level": "problem", "about": "broker"}.items() <= next(
            one for one in told["advice"] if one["about"] == "broker"
        ).items()
