"""The demo's API server, and the row of its Namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner import scan
from scanner.cluster import Cluster as Api
from scanner.models import Cluster, Namespace
from tests.scanner.provision.builders import NAME, account


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    objects = [
        {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAME}},
        account("default"),
        account("default-editor", "theirs"),
        account("pipeline", "regcred"),
    ]
    with DemoCluster(objects=objects, closed=(), kubelet=False) as cluster:
        yield cluster


@pytest.fixture
def api(demo: DemoCluster, tmp_path: Path) -> Iterator[Api]:
    with Api.from_kubeconfig(str(demo.kubeconfig(tmp_path / "kubeconfig"))) as connection:
        yield connection


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    monkeypatch.setattr(scan, "tell_dispatcher", lambda: True)
    cluster = Cluster.objects.create(name="prod-eu", next_scan_at=None)
    return Namespace.objects.create(cluster=cluster, name=NAME)
