"""The doctor on the broker, workers and beat."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.utils import timezone

from dashboard.doctor import Level
from dashboard.doctor import broker as broker_module
from tests import factories
from tests.dashboard.doctor.told import PASSWORD, levels, words
from tests.rig.process import ServerProcess
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parents[3]
#: As the product asks, before the fixtures here let it be.
ASKED = broker_module._workers

pytestmark = pytest.mark.django_db


class TestBroker:
    def test_one_that_answers_is_told_with_its_version(self, broker: ValkeyServer) -> None:
        assert levels("broker") == {Level.OK}
        assert f"127.0.0.1:{broker.port} answers (Valkey " in words("broker")

    def test_one_that_is_down_is_told_without_its_password(self) -> None:
        assert levels("broker") == {Level.PROBLEM}
        assert "REDIS_URL" in words("broker")

    def test_the_one_of_an_up_that_was_killed_is_not_looked_for_in_settings(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REDIS_URL", raising=False)
        settings.BROKER_FILE = tmp_path / "broker-url"
        settings.BROKER_FILE.write_text("redis://127.0.0.1:1/0", encoding="utf-8")

        assert "manage.py up was killed" in words("broker")

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
    def _asks(self, broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch, _nothing_answers: None) -> Iterator[None]:
        app = Celery("asks", set_as_current=False)
        app.conf.update(broker_url=broker.url, broker_transport_options={"max_retries": 0})
        monkeypatch.setattr(broker_module, "_workers", ASKED)
        monkeypatch.setattr(broker_module, "current_app", app)
        yield
        app.close()

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
            process.wait_until_ready(lambda: "ready." in (tmp_path / "worker.log").read_text("utf-8"))
            yield process
        finally:
            process.stop()

    def test_a_worker_that_runs_answers(self, worker: ServerProcess) -> None:
        factories.cluster()

        # One that has much to do does not always answer in time.
        assert "1 answers. " in (words("workers") for _ in range(20)), worker.log_tail()
        assert levels("beat") == {Level.OK}

    def test_without_a_worker_it_says_how_to_start_one(self) -> None:
        factories.cluster(next_scan_at=timezone.now() - timedelta(minutes=9))

        assert levels("workers") == {Level.PROBLEM}
        assert "manage.py start worker" in words("workers")
        assert levels("beat") == {Level.WARNING}


def test_work_that_is_due_though_workers_answer_means_that_beat_is_gone(broker: ValkeyServer) -> None:
    factories.cluster(next_scan_at=timezone.now() - timedelta(minutes=9))

    assert levels("beat") == {Level.PROBLEM}
    assert "due for 9 min" in words("beat")
    assert "manage.py start beat" in words("beat")


def test_work_that_is_due_while_tasks_wait_means_that_workers_are_busy(broker: ValkeyServer) -> None:
    factories.cluster(next_scan_at=timezone.now() - timedelta(minutes=9))
    with redis.Redis.from_url(broker.url) as connection:
        connection.rpush("celery", *("task" for _ in range(broker_module.BUSY)))

    assert levels("beat") == set()
    assert "They do not keep up: scans have been due for 9 min, and 10 tasks wait." in words("workers")
    assert "--concurrency" in words("workers")


def test_many_tasks_that_wait_are_told(broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "MANY", 0)

    assert levels("broker") == {Level.OK, Level.WARNING}
