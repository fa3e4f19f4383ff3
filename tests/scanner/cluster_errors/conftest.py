"""The demo cluster, whose answers a test can spoil, and a connection to it that never really pauses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster
from tests.scanner.cluster_errors.builders import OBJECTS


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def cluster(demo: DemoCluster, tmp_path: Path, waits: list[float]) -> Iterator[Cluster]:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    with Cluster.from_kubeconfig(str(path)) as connection:
        connection._transport._pause = waits.append
        yield connection
