"""Story 1 of the demo, scanned, and an operator who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from dashboard.demo.server import DemoCluster
from scanner import scan
from scanner.cluster import Cluster as Api
from scanner.models import Cluster, Namespace
from scanner.scan import scan_namespace
from tests import factories
from tests.dashboard.create.form import NS


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of a broker: remembers that somebody was told."""
    calls: list[str] = []

    def tell() -> bool:
        calls.append("told")
        return True

    monkeypatch.setattr(scan, "tell_dispatcher", tell)
    return calls


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(closed=(), kubelet=False) as cluster:
        yield cluster


@pytest.fixture
def namespace(demo: DemoCluster, tmp_path: Path, told: list[str]) -> Namespace:
    """Story 1, scanned."""
    kubeconfig = demo.kubeconfig(tmp_path / "kubeconfig")
    cluster = Cluster.objects.create(name="demo", kubeconfig=str(kubeconfig), next_scan_at=None)
    found = Namespace.objects.create(cluster=cluster, name=NS)
    scan_namespace(found)
    found.refresh_from_db()
    return found


@pytest.fixture
def api(namespace: Namespace) -> Iterator[Api]:
    with Api.from_kubeconfig(namespace.cluster.kubeconfig) as connection:
        yield connection


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.operator())
    return client
