"""A watch, a worker and a broker as processes: what changes is in the cells long before the interval is over."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster as Api
from scanner.models import Cell, Cluster, Scan
from tests.rig.process import ServerProcess
from tests.rig.shared_database import shared_database
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 180  # seconds, on a machine that does other things as well
TYPE = "kubernetes.io/dockerconfigjson"
IMAGE = "registry.example.com/team/app:1"
OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}},
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "team"},
        "imagePullSecrets": [{"name": "regcred"}],
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "team"},
        "spec": {
            "serviceAccountName": "default",
            "imagePullSecrets": [{"name": "regcred"}],
            "containers": [{"name": "c", "image": IMAGE}],
        },
    },
]


@pytest.fixture(name="database")
def _database(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    with shared_database(tmp_path) as url:
        yield url


@pytest.fixture(name="kubeconfig")
def _kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as demo:
        yield demo.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture(name="start")
def _start(database: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": valkey.url,
        "CREDBOARD_DATA_DIR": str(tmp_path),
        "CREDBOARD_RUN_DIR": str(tmp_path),
        "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
    }
    processes: list[ServerProcess] = []

    def start(*role: str) -> ServerProcess:
        log = tmp_path / f"{role[0]}-{len(processes)}.log"
        command = [sys.executable, "manage.py", "start", *role]
        processes.append(ServerProcess(command, log=log, cwd=ROOT, environment=environment))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, [list(Scan.objects.values()), list(Cell.objects.values())]
        time.sleep(0.1)
    return found


def cell() -> str:
    """Why the one cell there is has its status."""
    found = Cell.objects.filter(namespace__name="team", credential__slug="registry/registry.example.com").first()
    return str(found.reason) if found else ""


def test_a_new_secret_turns_its_cell_long_before_the_next_scan(
    kubeconfig: Path, start: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    # No beat: nothing but the watch says that something is due.
    Cluster.objects.create(name="demo", kubeconfig=str(kubeconfig), scan_interval=3600)
    start("worker", "--concurrency=1")
    Cluster.objects.get().claim_scan(now=Cluster.objects.get().next_scan_at)  # type: ignore[arg-type]
    watch = start("watch")
    # It begins with a scan of the cluster, since anything may have changed before.
    before = wait_for(cell)
    wait_for(lambda: Scan.objects.filter(namespace="", state=Scan.State.DONE).exists())
    assert (tmp_path / "credboard-watch.alive").exists()

    auths = {"auths": {"registry.example.com": {"auth": b64encode(b"puller:hunter2-canary-value").decode()}}}
    with Api.from_kubeconfig(str(kubeconfig)) as api:
        api.create_secret("team", "regcred", TYPE, {".dockerconfigjson": json.dumps(auths).encode()})
        after = wait_for(lambda: cell() != before and cell())
        os.kill(watch.pid, signal.SIGTERM)
        wait_for(lambda: watch._process.poll() is not None)

    assert watch._process.returncode == 0
    assert (before, after) == ("latent", "covered")
    assert Scan.objects.filter(namespace="team", state=Scan.State.DONE).exists()
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "hunter2" not in logs
    assert auths["auths"]["registry.example.com"]["auth"] not in logs
    assert "Traceback" not in logs
