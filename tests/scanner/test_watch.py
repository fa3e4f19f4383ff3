"""The watcher and the rows that it makes due, on the demo cluster and a real API server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner import watch as watching
from scanner.models import Cluster, Namespace
from scanner.watch import Limits, Timing, Watcher, request
from scanner.watch.dirty import Due
from tests import factories
from tests.rig.apiserver import KubeApiServer

pytestmark = [pytest.mark.django_db]

PATIENCE = 180  # seconds, on a machine that does other things as well
SOON = Limits(quiet=0.05, patience=0.2, rest=0.1, longest_rest=0.2, rate=1000, most=20, whole_rest=0)
QUICK = Timing(lifetime=60, silence=60, back_off=0.02, longest_back_off=0.1, refused=0.1, absent=0.1, shortest=0)
HOUR = timedelta(hours=1)
OBJECTS = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("aa", "bb", "kube-x")]


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture(autouse=True)
def _keep_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django closes a connection with a transaction that is open, as that of a test is, where it looks for old ones."""
    monkeypatch.setattr(watching, "close_old_connections", lambda: None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that workers are told."""
    told: list[int] = []
    monkeypatch.setattr(watching, "tell_dispatcher", lambda: told.append(1))
    return told


@pytest.fixture
def cluster(demo: DemoCluster, tmp_path: Path, calls: list[int]) -> Cluster:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    made = Cluster.objects.create(
        name="prod", kubeconfig=str(path), scan_interval=3_600, next_scan_at=timezone.now() + HOUR
    )
    for name in ("aa", "bb"):
        factories.namespace(made, name)
    return made


@pytest.fixture
def watchers() -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def make(**options: Any) -> Watcher:
        made.append(Watcher(**{"limits": SOON, "timing": QUICK, "look_every": 0.1, **options}))
        return made[-1]

    yield make
    for watcher in made:
        watcher.stop()
        watcher.run()


Make = Callable[..., Watcher]


def drive(what: Callable[[], Any], *watchers: Watcher) -> None:
    """Let the watchers work, in this thread, which has the database, until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, list(Namespace.objects.values("name", "next_scan_at"))
        for watcher in watchers:
            watcher._turn()


def due() -> set[str]:
    return {row.name for row in Namespace.objects.due(timezone.now())}


def is_whole_due() -> bool:
    return Cluster.objects.due(timezone.now()).exists()


def settle(*watchers: Watcher) -> None:
    """Until every watch is open and the scan that each begins with was asked for; then as if that was done."""
    drive(lambda: all(_is_open(watcher) for watcher in watchers), *watchers)
    drive(lambda: is_whole_due() and not any(_waits(watcher) for watcher in watchers), *watchers)
    Cluster.objects.update(next_scan_at=timezone.now() + HOUR)


def _is_open(watcher: Watcher) -> bool:
    threads = [thread for group in watcher._groups.values() for thread in group._watches]
    return bool(threads) and all(thread._open or thread.resource == "profiles" for thread in threads)


def _waits(watcher: Watcher) -> bool:
    return any(group.dirty.next_at() is not None for group in watcher._groups.values())


def write(demo: DemoCluster, kind: str = "Secret", namespace: str = "aa", name: str = "new") -> None:
    demo.api.load({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}})


@pytest.mark.parametrize("kind", ["Secret", "ServiceAccount"])
def test_a_change_makes_its_namespace_due_and_no_other(
    demo: DemoCluster, cluster: Cluster, watchers: Make, calls: list[int], kind: str
) -> None:
    watcher = watchers()
    settle(watcher)
    calls.clear()
    write(demo, kind, "bb")
    drive(due, watcher)

    assert due() == {"bb"}
    assert calls == [1]
    assert not is_whole_due()


def test_a_real_api_server_is_watched(
    apiserver: KubeApiServer, tmp_path: Path, calls: list[int], watchers: Make
) -> None:
    where = apiserver.create_namespace()
    path = apiserver.kubeconfig(tmp_path / "kubeconfig")
    made = factories.cluster(kubeconfig=str(path), scan_interval=3_600, next_scan_at=timezone.now() + HOUR)
    factories.namespace(made, where)
    watcher = watchers()
    settle(watcher)
    pod = {"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "quay.io/team/app:1"}]}}
    apiserver.must("POST", f"/api/v1/namespaces/{where}/pods", pod)
    drive(lambda: where in due(), watcher)
    # The kubelet's word that the image cannot be pulled changes only the status.
    Namespace.objects.update(next_scan_at=None)
    status = {"phase": "Pending", "reason": "ImagePullBackOff"}
    apiserver.must("PUT", f"/api/v1/namespaces/{where}/pods/web-0/status", {**pod, "status": status})
    drive(lambda: where in due(), watcher)


def test_a_new_namespace_gets_a_row_that_is_unknown_and_due(
    demo: DemoCluster, cluster: Cluster, watchers: Make
) -> None:
    watcher = watchers()
    settle(watcher)
    demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    drive(due, watcher)

    row = Namespace.objects.get(name="fresh")
    assert row.status_at(timezone.now()) == "unknown"
    assert due() == {"fresh"}


def test_a_namespace_that_comes_back_is_unknown_until_it_is_scanned(
    demo: DemoCluster, cluster: Cluster, watchers: Make
) -> None:
    factories.namespace(cluster, "fresh", gone_at=timezone.now())
    watcher = watchers()
    settle(watcher)
    demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    drive(due, watcher)

    row = Namespace.objects.get(name="fresh")
    assert (row.gone_at, row.status_at(timezone.now())) == (None, "unknown")


def test_what_is_left_out_of_scans_is_not_watched(demo: DemoCluster, cluster: Cluster, watchers: Make) -> None:
    Cluster.objects.update(exclude=["kube-*"], include=["aa", "kube-x", "bb"])
    factories.namespace(cluster, "kube-x")
    watcher = watchers()
    settle(watcher)
    write(demo, namespace="kube-x")
    demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    write(demo, namespace="bb")
    drive(due, watcher)

    assert due() == {"bb"}
    assert not Namespace.objects.filter(name="other").exists()


def test_labels_decide_whether_a_namespace_is_watched_for(demo: DemoCluster, cluster: Cluster, watchers: Make) -> None:
    Cluster.objects.update(label_selector="team=vision")
    watcher = watchers()
    settle(watcher)
    for name, labels in (("theirs", {"team": "audio"}), ("ours", {"team": "vision"})):
        demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    drive(due, watcher)
    assert due() == {"ours"}

    demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ours", "labels": {}}})
    # Only a scan of the cluster sees that it is no longer one of those.
    drive(is_whole_due, watcher)


def test_a_burst_becomes_one_scan_of_the_cluster(
    demo: DemoCluster, cluster: Cluster, watchers: Make, calls: list[int]
) -> None:
    names = [f"team-{number}" for number in range(60)]
    for name in names:
        demo.api.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        factories.namespace(cluster, name)
    watcher = watchers()
    settle(watcher)
    # However slowly the changes come in now, none of them is due by itself before there are too many.
    watcher._groups[cluster.pk].dirty._limits = Limits(quiet=600, patience=600, most=20, whole_rest=0)
    calls.clear()
    for name in names:
        for number in range(5):
            write(demo, namespace=name, name=f"s{number}")
    drive(is_whole_due, watcher)

    assert len(due()) == 0
    assert len(calls) == 1


def test_two_watchers_do_no_harm(demo: DemoCluster, cluster: Cluster, watchers: Make, calls: list[int]) -> None:
    both = watchers(), watchers()
    settle(*both)
    calls.clear()
    write(demo)
    drive(lambda: due() and not any(_waits(watcher) for watcher in both), *both)

    assert due() == {"aa"}
    assert calls == [1]
    claimed = [row.claim_scan() for row in [*Namespace.objects.due(timezone.now())] * 2]
    assert claimed == [True, False]


def test_clusters_come_go_and_change_while_it_runs(
    demo: DemoCluster, cluster: Cluster, watchers: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scanner.watch")
    watcher = watchers()
    settle(watcher)
    first = watcher._groups[cluster.pk]

    Cluster.objects.update(exclude=["aa"])
    drive(lambda: watcher._groups.get(cluster.pk) not in (None, first), watcher)
    settle(watcher)
    write(demo, namespace="aa")
    write(demo, namespace="bb")
    drive(due, watcher)
    assert due() == {"bb"}

    second = Cluster.objects.create(name="second", kubeconfig=cluster.kubeconfig, next_scan_at=timezone.now() + HOUR)
    drive(lambda: second.pk in watcher._groups, watcher)
    Cluster.objects.filter(pk=cluster.pk).update(next_scan_at=None)
    drive(lambda: cluster.pk not in watcher._groups, watcher)
    second.delete()
    drive(lambda: not watcher._groups, watcher)
    assert not any(thread.is_alive() for thread in first._watches)
    assert "second is no longer watched" in caplog.text


def test_a_kubeconfig_that_is_missing_is_said_once_and_used_when_it_is_there(
    demo: DemoCluster, cluster: Cluster, watchers: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Cluster.objects.update(kubeconfig=str(tmp_path / "later"))
    watcher = watchers(timing=Timing(connect_again=0.05, back_off=0.02, shortest=0))
    drive(lambda: "There is no kubeconfig" in caplog.text, watcher)
    connects = iter(range(4))
    drive(lambda: next(connects, None) is None, watcher)
    demo.kubeconfig(tmp_path / "later")
    settle(watcher)

    assert len([record for record in caplog.records if "prod is not watched" in record.getMessage()]) == 1


def test_without_the_database_what_changed_is_kept(
    demo: DemoCluster, cluster: Cluster, watchers: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(watching.log, "warning", lambda line, *about: said.append(line % about))
    monkeypatch.setattr(watching, "DATABASE_AGAIN", 0.1)
    # The connection is that of the test's transaction.
    monkeypatch.setattr("scanner.watch.connection.close", lambda: None)
    watcher = watchers()
    settle(watcher)
    failures = iter(range(3))

    def fail_at_first() -> None:
        if next(failures, None) is not None:
            raise DatabaseError("password=hunter2")

    monkeypatch.setattr(watching, "close_old_connections", fail_at_first)
    write(demo)
    drive(due, watcher)

    assert due() == {"aa"}
    assert said == [
        "The database does not answer (DatabaseError); what changes is kept until it does",
        "The database answers again",
    ]


def test_what_changed_is_due_when_it_is_told_to_stop(demo: DemoCluster, cluster: Cluster, watchers: Make) -> None:
    watcher = watchers(limits=Limits(quiet=600, patience=600, whole_rest=0))
    drive(lambda: _is_open(watcher), watcher)
    write(demo)
    drive(lambda: watcher._groups[cluster.pk].dirty._waiting, watcher)
    assert due() == set()

    watcher.stop()
    watcher.run()

    assert due() == {"aa"}
    assert not any(thread.is_alive() for group in watcher._groups.values() for thread in group._watches)


def test_every_turn_is_told_for_the_health_check(cluster: Cluster, watchers: Make) -> None:
    turns: list[int] = []
    watcher = watchers(turned=lambda: turns.append(1))
    drive(lambda: len(turns) >= 3, watcher)


def test_what_is_due_already_stays_as_it_is(cluster: Cluster, calls: list[int]) -> None:
    earlier = timezone.now() - timedelta(seconds=3)
    Namespace.objects.filter(name="aa").update(next_scan_at=earlier)

    assert request(cluster.pk, Due(namespaces={"aa": False, "bb": False, "nowhere": False})) == 1
    assert request(cluster.pk, Due(namespaces={"aa": False})) == 0
    assert Namespace.objects.get(name="aa").next_scan_at == earlier
    assert calls == [1]
