"""Beat, workers and a broker as they are deployed: real processes on a real Valkey, and what happens when one dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner import scan as scanning
from scanner.models import Cluster, Namespace, Scan
from scanner.scan import request_cluster_scan, request_scan
from tests.rig.process import ServerProcess
from tests.rig.shared_database import shared_database
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parent.parent.parent
#: Seconds. The lease is longer than any worker pauses on a machine that does other things as well.
LEASE, INTERVAL = 120, 3
PATIENCE = 180


@pytest.fixture(name="database")
def _database(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    with shared_database(tmp_path) as url:
        yield url


@pytest.fixture(name="demo")
def _demo() -> Iterator[DemoCluster]:
    with DemoCluster(kubelet=False, closed=()) as demo:
        yield demo


@pytest.fixture(name="cluster")
def _cluster(database: str, demo: DemoCluster, tmp_path: Path) -> Cluster:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    return Cluster.objects.create(name="demo", kubeconfig=str(path), scan_interval=INTERVAL)


class Installation:
    """Workers and beats that share a database and a broker."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder = environment, folder
        self._processes: list[ServerProcess] = []

    def worker(self) -> ServerProcess:
        """A worker with two processes."""
        return self._start("worker", "--concurrency=2", f"--hostname=w{len(self._processes)}@credboard")

    def beat(self) -> ServerProcess:
        schedule = self._folder / f"schedule-{len(self._processes)}"
        return self._start("beat", "--pidfile=", f"--schedule={schedule}")

    def _start(self, what: str, *arguments: str) -> ServerProcess:
        celery = [sys.executable, "-m", "celery", "-A", "dashboard", "--quiet", what, "--loglevel=warning"]
        log = self._folder / f"{what}-{len(self._processes)}.log"
        process = ServerProcess([*celery, *arguments], log=log, cwd=ROOT, environment=self._environment)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """All at once: each takes a second or two."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        for process in self._processes:
            process.stop()


@pytest.fixture(name="installation")
def _installation(database: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[Installation]:
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": valkey.url,
        "CREDBOARD_DATA_DIR": str(tmp_path),
        "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
        "CREDBOARD_SCAN_LEASE": str(LEASE),
        "CREDBOARD_REDELIVER_AFTER": "5",
    }
    installation = Installation(environment, tmp_path)
    yield installation
    installation.stop()


@pytest.fixture(name="sender")
def _sender(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets this process send to Valkey, as a web process would."""
    app = Celery("web", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = valkey.url
    monkeypatch.setattr(scanning, "current_app", app)
    yield
    app.close()


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, list(Scan.objects.values())
        time.sleep(0.1)
    return found


def good_scans() -> list[Scan]:
    return list(Scan.objects.of_whole_cluster().filter(state=Scan.State.DONE).order_by("started_at"))


def test_beat_has_scans_dispatched_and_a_worker_killed_in_the_middle_loses_nothing(
    cluster: Cluster, demo: DemoCluster, installation: Installation
) -> None:
    installation.beat()
    doomed = installation.worker()
    first = wait_for(good_scans)[0]
    assert first.namespaces_done == first.namespaces_total == Namespace.objects.present().count() > 30
    before = {row.pk: row.status for row in Namespace.objects.all()}

    fault = demo.faults.hang(30, path="/api/v1/pods", times=1)
    wait_for(lambda: fault.hits)
    killed = Scan.objects.of_whole_cluster().get(state=Scan.State.RUNNING)
    kill_family(doomed.pid)
    assert {row.pk: row.status for row in Namespace.objects.all()} == before

    Cluster.objects.update(lease_until=timezone.now())  # so long it was silent
    installation.worker()
    wait_for(lambda: [scan for scan in good_scans() if scan.started_at > killed.started_at])
    killed.refresh_from_db()
    assert (killed.state, killed.error_kind) == ("failed", "Interrupted")
    assert {row.pk: row.status for row in Namespace.objects.all()} == before


def kill_family(pid: int) -> None:
    """SIGKILL to a worker and its processes, as the kernel does when memory is short."""
    os.killpg(pid, signal.SIGKILL)


def test_two_beats_and_two_workers_scan_once_an_interval(cluster: Cluster, installation: Installation) -> None:
    for _ in range(2):
        installation.beat()
        installation.worker()
    wait_for(lambda: len(good_scans()) >= 4)
    started = [scan.started_at for scan in Scan.objects.of_whole_cluster().order_by("started_at")]
    # The first one may have been late, and those after it so much sooner.
    intervals = (started[-1] - started[0]).total_seconds() / INTERVAL
    assert len(started) - 1 <= intervals + 1, started
    assert all(overlaps == 0 for overlaps in _overlaps(good_scans()))


def _overlaps(scans: list[Scan]) -> Iterator[int]:
    for scan in scans:
        assert scan.finished_at is not None
        yield sum(scan.started_at < other.started_at < scan.finished_at for other in scans)


def test_a_scan_longer_than_its_interval_never_runs_twice_at_once(
    cluster: Cluster, demo: DemoCluster, installation: Installation
) -> None:
    Cluster.objects.update(scan_interval=1)
    demo.faults.hang(2, path="/api/v1/pods", times=None)
    installation.beat()
    installation.worker()
    wait_for(lambda: len(good_scans()) >= 2)
    assert all(overlaps == 0 for overlaps in _overlaps(good_scans()))
    assert not Scan.objects.filter(error_kind="Interrupted").exists()


def test_without_redis_a_request_returns_at_once_and_the_scan_follows(
    cluster: Cluster, demo: DemoCluster, installation: Installation, valkey: ValkeyServer, sender: None
) -> None:
    Cluster.objects.update(next_scan_at=timezone.now() + timedelta(hours=1), scan_interval=3_600)
    row = Namespace.objects.create(cluster=cluster, name="team-vision")
    installation.beat()
    installation.worker()
    # Redis goes in the middle of a scan, when the worker has a message that is not acknowledged.
    demo.faults.hang(3, path="/namespaces/team-vision/pods")
    assert request_scan(row) is True
    wait_for(lambda: Scan.objects.filter(state=Scan.State.RUNNING))
    valkey.stop()
    asked_at = timezone.now()
    assert [request_scan(row), request_cluster_scan(Cluster.objects.get())] == [False, False]
    assert row in Namespace.objects.due(timezone.now())
    valkey.start()
    wait_for(lambda: (scanned_at(row) or asked_at) > asked_at and good_scans())


def scanned_at(row: Namespace) -> datetime | None:
    return Namespace.objects.get(pk=row.pk).scanned_at
