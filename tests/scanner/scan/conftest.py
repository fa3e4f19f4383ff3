"""The demo cluster, as scans may read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.models import Cluster
from tests.scanner.scan.builders import OBJECTS, OWN


@pytest.fixture(name="demo")
def _demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as demo:
        yield demo


@pytest.fixture(name="cluster")
def _cluster(demo: DemoCluster, tmp_path: Path) -> Cluster:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    return Cluster.objects.create(name="prod-eu", kubeconfig=str(path), include=OWN)


@pytest.fixture(name="narrow")
def _narrow(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster where Secrets may not be listed in all Namespaces, nor in `closed`."""
    with DemoCluster(objects=OBJECTS, closed=("closed",), kubelet=False) as demo:
        path = demo.kubeconfig(tmp_path / "narrow.kubeconfig")
        yield Cluster.objects.create(name="narrow", kubeconfig=str(path), include=OWN)
