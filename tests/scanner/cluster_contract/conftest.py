"""Each test asks a real kube-apiserver and the demo cluster alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster
from tests.scanner.cluster_contract.lab import DemoLab, Lab, RealLab


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=[], kubelet=False) as server:
        yield server


@pytest.fixture(params=["apiserver", "demo"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    server = request.getfixturevalue(request.param)
    made: Lab = RealLab(server, tmp_path) if request.param == "apiserver" else DemoLab(server, tmp_path)
    yield made
    made.end()


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Cluster]:
    with lab.connect() as connection:
        yield connection
