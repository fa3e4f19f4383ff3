"""What one person can put into one Namespace must not stop the scan of all others."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster, listing

KEY = base64.b64encode(b"x" * 3_000).decode()
TEAMS = ("team-a", "team-b", "team-c")


def named(kind: str, name: str, namespace: str = "") -> dict[str, object]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


OBJECTS = [
    *(named("Namespace", team) for team in TEAMS),
    *(named("Secret", "small", team) | {"type": "Opaque", "data": {"a": "eA=="}} for team in TEAMS),
    *(named("Secret", f"large-{n:02}", "team-b") | {"type": "Opaque", "data": {"a": KEY}} for n in range(40)),
]


@pytest.fixture(name="demo", scope="module")
def _demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture(name="cluster")
def _cluster(demo: DemoCluster, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.from_kubeconfig(str(demo.kubeconfig(tmp_path / "kubeconfig"))) as connection:
        yield connection


def test_a_page_that_is_too_large_is_asked_for_again_in_smaller_ones(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LARGEST_PAGE", 60_000)
    read = {one.namespace.metadata.name: one for one in cluster.namespaces(include=["team-*"])}

    assert {name: len(one.secrets) for name, one in read.items()} == {"team-a": 1, "team-b": 41, "team-c": 1}
    assert not any(one.unreadable.keys() & {"secrets"} for one in read.values())
    assert len(cluster.namespace("team-b").secrets) == 41


def test_what_is_too_much_to_hold_makes_only_its_own_namespace_unreadable(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 10)
    monkeypatch.setattr(listing, "LARGEST_NAMESPACE", 60_000)
    read = {one.namespace.metadata.name: one for one in cluster.namespaces(include=["team-*"])}

    assert {name: len(one.secrets) for name, one in read.items()} == {"team-a": 1, "team-b": 0, "team-c": 1}
    assert {name for name, one in read.items() if "secrets" in one.unreadable} == {"team-b"}
    assert "secrets" in cluster.namespace("team-b").unreadable
    assert "secrets" not in cluster.namespace("team-c").unreadable
