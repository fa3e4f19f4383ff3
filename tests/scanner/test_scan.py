"""Scans of the demo cluster, and of a real API server where rights matter, into the database."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner import cluster as api
from scanner import scan as scanning
from scanner import tasks
from scanner.models import Cell, Cluster, Finding, Namespace, NamespaceOwner, Scan
from scanner.policy import Policy
from scanner.scan import StoredElsewhere, is_selected, request_scan, scan_cluster, scan_namespace
from tests.rig.apiserver import KubeApiServer
from tests.rig.process import free_port
from tests.rig.valkey import ValkeyServer
from tests.scanner.verdicts import dump

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
QUAY = "registry/quay.io"


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(where: str, *, pull: str = "regcred", image: str = "quay.io/team/app:1") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": where, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "app", "image": image}], "imagePullSecrets": [{"name": pull}]},
        "status": {"phase": "Pending"},
    }


def rolebinding(where: str, user: str) -> Json:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "editors", "namespace": where},
        "subjects": [{"kind": "User", "name": user, "apiGroup": group}],
        "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": group},
    }


def secret(where: str, name: str = "regcred") -> Json:
    config = "eyJhdXRocyI6eyJxdWF5LmlvIjp7InVzZXJuYW1lIjoicHVsbGVyIiwicGFzc3dvcmQiOiJwdy0xMjMifX19"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": where},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": config},
    }


OBJECTS = [
    *(namespace(name) for name in ("team-a", "team-b", "closed")),
    *(secret(name) for name in ("team-a", "closed")),
    *(pod(name) for name in ("team-a", "team-b", "closed")),
]
OWN = ["team-*", "close*"]


@pytest.fixture(name="demo")
def _demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as demo:
        yield demo


@pytest.fixture(name="cluster")
def _cluster(demo: DemoCluster, tmp_path: Path) -> Cluster:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    return Cluster.objects.create(name="prod-eu", kubeconfig=str(path), include=OWN)


def statuses() -> dict[str, str]:
    return dict(Namespace.objects.present().values_list("name", "status"))


def scan_all(cluster: Cluster) -> Scan:
    done = scan_cluster(cluster)
    assert done is not None
    return Scan.objects.get(pk=done.pk)


def scan_handed_out() -> None:
    """What the workers do."""
    for one in Namespace.objects.due(timezone.now()):
        if one.claim_scan():
            scan_namespace(Namespace.objects.select_related("cluster").get(pk=one.pk))


def test_a_scan_stores_what_the_cluster_lacks(cluster: Cluster) -> None:
    done = scan_all(cluster)
    assert (done.state, done.mode, done.namespaces_done, done.namespaces_total) == ("done", "cluster", 3, 3)
    assert (done.critical, done.ok, done.error) == (1, 2, "")
    assert statuses() == {"team-a": "ok", "team-b": "critical", "closed": "ok"}
    assert Cell.objects.get(namespace__name="team-b").credential.slug == QUAY
    assert Finding.objects.get(code="PS01").namespace.name == "team-b"
    cluster.refresh_from_db()
    assert cluster.lease_until is None


def test_scanning_twice_changes_nothing(cluster: Cluster) -> None:
    left_out = ("scanned_at", "last_seen_at")
    scan_all(cluster)
    before = dump(*left_out)
    scan_all(cluster)
    after = dump(*left_out)
    assert len(after.pop("Scan")) == len(before.pop("Scan")) + 1
    assert after == before


def test_a_namespace_that_was_deleted_is_closed_by_the_next_scan(demo: DemoCluster, cluster: Cluster) -> None:
    scan_all(cluster)
    demo.api.remove(*stored_namespace(demo, "team-b"))
    scan_all(cluster)
    assert "team-b" not in statuses()
    assert Finding.objects.open().filter(namespace__name="team-b").count() == 0


def stored_namespace(demo: DemoCluster, name: str) -> tuple[Any, Json]:
    from dashboard.demo.resources import of_object

    resource = of_object(namespace(name))
    return resource, next(one for one in demo.store.all(resource, "") if one["metadata"]["name"] == name)


def test_a_namespace_scanned_by_itself_is_judged_as_in_a_scan_of_all(cluster: Cluster) -> None:
    scan_all(cluster)
    before = dump("scanned_at", "last_seen_at")
    done = scan_namespace(Namespace.objects.select_related("cluster").get(name="team-b"))
    assert (done.state, done.namespaces_done, done.critical) == ("done", 1, 1)
    after = dump("scanned_at", "last_seen_at")
    del before["Scan"], after["Scan"]
    assert after == before
    assert Namespace.objects.get(name="team-b").scanned_at == done.started_at


def test_a_namespace_scanned_by_itself_that_is_not_there_any_more_is_closed(
    demo: DemoCluster, cluster: Cluster
) -> None:
    scan_all(cluster)
    demo.api.remove(*stored_namespace(demo, "team-b"))
    done = scan_namespace(Namespace.objects.select_related("cluster").get(name="team-b"))
    assert (done.state, Namespace.objects.get(name="team-b").gone_at) == ("done", done.started_at)


def test_only_the_newest_scan_of_a_namespace_is_kept(cluster: Cluster) -> None:
    scan_all(cluster)
    row = Namespace.objects.select_related("cluster").get(name="team-b")
    last = [scan_namespace(row) for _ in range(3)][-1]
    assert [one.pk for one in Scan.objects.filter(namespace="team-b")] == [last.pk]


def test_old_scans_are_forgotten_but_for_the_first_and_the_last_good_one(cluster: Cluster, settings: Any) -> None:
    now = timezone.now()
    made = [
        Scan.objects.create(cluster=cluster, started_at=now - timedelta(days=days), state=state)
        for days, state in ((90, "failed"), (80, "done"), (70, "failed"), (60, "done"), (50, "failed"), (1, "failed"))
    ]
    Scan.objects.prune(cluster, before=now - timedelta(days=settings.SCAN_RETENTION))
    kept = set(Scan.objects.values_list("pk", flat=True))
    assert kept == {made[0].pk, made[3].pk, made[5].pk}


def test_what_lies_elsewhere_is_known_from_what_is_stored(cluster: Cluster) -> None:
    scan_all(cluster)
    assert [place.namespace for place in StoredElsewhere(cluster).named("regcred", besides="team-b")] == [
        "closed",
        "team-a",
    ]
    assert StoredElsewhere(cluster).covering("quay.io/team/app", besides="")
    assert StoredElsewhere(cluster).meant_for("quay.io/team/app", besides="")


def test_a_scan_of_one_namespace_knows_from_what_is_stored_who_shares_a_login(cluster: Cluster, settings: Any) -> None:
    scan_all(cluster)
    team = Namespace.objects.get(name="team-a")
    scanned = {"scanned_at": team.scanned_at, "fingerprints": team.fingerprints}
    Namespace.objects.bulk_create(Namespace(cluster=cluster, name=f"copy-{n}", **scanned) for n in range(5))
    before = team.status, list(Cell.objects.filter(namespace=team).values_list("status", "reason"))
    scan_namespace(team)
    assert not Finding.objects.filter(code="HY03").exists()

    settings.POLICY = Policy(enabled=frozenset({"HY03"}))
    scan_namespace(team)

    told = Finding.objects.get(code="HY03")
    assert (told.status, told.object, told.credential) == ("ok", "Secret/regcred", QUAY)
    assert told.details == {"secret": "regcred", "count": 5}
    team.refresh_from_db()
    assert (team.status, list(Cell.objects.filter(namespace=team).values_list("status", "reason"))) == before


@pytest.mark.parametrize(
    ("name", "include", "exclude", "chosen"),
    [
        ("team-a", [], [], True),
        ("team-a", ["team-*"], [], True),
        ("team-a", ["team-*"], ["*-a"], False),
        ("kube-system", ["team-*"], [], False),
        ("Team-a", ["team-*"], [], False),
    ],
)
def test_exclude_wins_over_include(name: str, include: list[str], exclude: list[str], chosen: bool) -> None:
    assert is_selected(name, include, exclude) is chosen


# Progress and lease


@pytest.fixture(name="told")
def _told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """What every row of progress said."""
    told: list[tuple[int, int | None]] = []
    save = scanning._save_running

    def spy(scan: Scan) -> None:
        told.append((scan.namespaces_done, scan.namespaces_total))
        save(scan)

    monkeypatch.setattr(scanning, "_save_running", spy)
    return told


def test_counts_move_while_namespaces_are_read(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int | None]]
) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    scan_all(cluster)
    assert {1, 2, 3, 4, 5, 6, 7} <= {done for done, _ in told}, "the four of the system are read as well"
    assert told[-1] == (3, 3)


def test_progress_is_written_twice_a_second_at_most(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int | None]]
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(scanning.time, "monotonic", lambda: next(ticks) * 0.125)
    scan_all(cluster)
    assert len(told) <= next(ticks) * 0.125 * 2 + 2


def test_a_cluster_is_scanned_by_one_at_a_time_and_the_other_tries_again(cluster: Cluster) -> None:
    now = timezone.now()
    other = Cluster.objects.get()
    assert other.take_lease(now=now, seconds=30)
    Cluster.objects.update(next_scan_at=now + timedelta(hours=1))
    assert scan_cluster(cluster) is None
    assert Scan.objects.count() == 0
    cluster.refresh_from_db()
    assert cluster.next_scan_at == cluster.lease_until == now + timedelta(seconds=30)


def test_a_scan_whose_worker_died_is_taken_over_and_said_to_be_interrupted(cluster: Cluster) -> None:
    began = timezone.now() - timedelta(minutes=10)
    dead = Scan.objects.create(cluster=cluster, started_at=began)
    dead_too = Scan.objects.create(cluster=cluster, namespace="team-a", started_at=began)
    assert cluster.take_lease(now=began, seconds=120)
    assert scan_all(Cluster.objects.get()).state == "done"
    for one in (dead, dead_too):
        one.refresh_from_db()
        assert (one.state, one.error_kind, bool(one.finished_at)) == ("failed", "Interrupted", True)


def test_after_the_clock_was_set_back_a_scan_of_the_time_to_come_is_not_the_newest(cluster: Cluster) -> None:
    ahead = timezone.now() + timedelta(hours=2)
    Scan.objects.create(cluster=cluster, started_at=ahead, state="done")
    cluster.take_lease(now=ahead, seconds=120)
    scan = scan_all(Cluster.objects.get())
    assert Scan.objects.newest_and_last_good(cluster) == [scan]
    assert not Scan.objects.filter(started_at__gt=timezone.now()).exists()


def test_a_scan_that_was_taken_over_stops_and_leaves_the_new_one_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    later = timezone.now() + timedelta(hours=1)
    judge = scanning.judge_all

    def judge_slowly(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, one in enumerate(judge(*args, **kwargs)):
            if number == 1:
                Cluster.objects.update(lease_until=later)
                Scan.objects.interrupt(cluster, now=timezone.now(), silent_since=timezone.now())
            yield one

    monkeypatch.setattr(scanning, "judge_all", judge_slowly)
    scan = scan_all(cluster)
    assert (scan.state, scan.error_kind) == ("failed", "Interrupted")
    assert Cluster.objects.get().lease_until == later
    assert Namespace.objects.count() == 0, "its batch was not stored"


def test_the_lease_is_kept_while_a_scan_reads(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    leases = []
    save = scanning._save_running

    def spy(scan: Scan) -> None:
        leases.append(Cluster.objects.get().lease_until)
        save(scan)

    monkeypatch.setattr(scanning, "_save_running", spy)
    scan_all(cluster)
    assert len(set(leases)) > 4
    assert leases == sorted(leases)


# Rights


@pytest.fixture(name="narrow")
def _narrow(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster where Secrets may not be listed in all Namespaces, nor in `closed`."""
    with DemoCluster(objects=OBJECTS, closed=("closed",), kubelet=False) as demo:
        path = demo.kubeconfig(tmp_path / "narrow.kubeconfig")
        yield Cluster.objects.create(name="narrow", kubeconfig=str(path), include=OWN)


def test_where_the_wide_list_is_forbidden_namespaces_are_scanned_one_by_one(narrow: Cluster) -> None:
    parent = scan_all(narrow)
    assert (parent.state, parent.mode, parent.namespaces_total) == ("running", "namespaces", 3)
    scan_handed_out()
    parent.refresh_from_db()
    assert (parent.state, parent.namespaces_done, bool(parent.finished_at)) == ("done", 3, True)
    assert (parent.critical, parent.ok, parent.unknown) == (1, 1, 1)
    assert statuses() == {"team-a": "ok", "team-b": "critical", "closed": "unknown"}
    assert Cluster.objects.get().lease_until is None


def test_a_namespace_that_refuses_is_unknown_and_its_cells_are_too(
    demo: DemoCluster, cluster: Cluster, narrow: Cluster
) -> None:
    scan_all(cluster)
    Cluster.objects.filter(pk=cluster.pk).update(kubeconfig=narrow.kubeconfig)
    scan_all(Cluster.objects.get(pk=cluster.pk))
    scan_handed_out()
    cell = Cell.objects.get(namespace__cluster=cluster, namespace__name="closed")
    assert (cell.status, cell.reason) == ("unknown", "not-checked")


def test_while_handed_out_namespaces_report_back_no_other_scan_begins(narrow: Cluster) -> None:
    scan_all(narrow)
    assert scan_cluster(Cluster.objects.get()) is None
    before = Cluster.objects.get().lease_until
    one = Namespace.objects.select_related("cluster").first()
    assert one is not None
    assert one.claim_scan()
    scan_namespace(one)
    after = Cluster.objects.get().lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_a_namespace_that_is_scanned_twice_counts_once(narrow: Cluster) -> None:
    parent = scan_all(narrow)
    row = Namespace.objects.select_related("cluster").get(name="team-a")
    for _ in range(3):
        scan_namespace(row)
    parent.refresh_from_db()
    assert (parent.state, parent.namespaces_done) == ("running", 1)


def test_a_namespace_whose_scan_fails_counts_too(narrow: Cluster) -> None:
    parent = scan_all(narrow)
    Path(narrow.kubeconfig).unlink()
    scan_handed_out()
    parent.refresh_from_db()
    assert parent.namespaces_done == 3
    assert {one.state for one in Scan.objects.exclude(namespace="")} == {"failed"}


def test_a_scan_in_which_every_namespace_fails_has_failed(narrow: Cluster) -> None:
    parent = scan_all(narrow)
    Path(narrow.kubeconfig).unlink()
    scan_handed_out()
    parent.refresh_from_db()
    assert (parent.state, parent.failed_namespaces, parent.error_kind) == ("failed", 3, "BadConfiguration")
    assert parent.error.startswith("No Namespace could be scanned. Namespace ")
    assert "There is no kubeconfig at" in parent.error
    assert parent.remedy
    assert Cluster.objects.get().lease_until is None


def test_a_scan_in_which_some_namespaces_fail_is_done_and_says_why(narrow: Cluster) -> None:
    parent = scan_all(narrow)
    for name in ("team-b", "closed", "team-a"):
        if name == "team-a":
            Path(narrow.kubeconfig).unlink()
        scan_namespace(Namespace.objects.select_related("cluster").get(name=name))
    parent.refresh_from_db()
    assert (parent.state, parent.failed_namespaces, parent.namespaces_done) == ("done", 1, 3)
    assert parent.error.startswith("Namespace team-a: There is no kubeconfig at")
    assert parent.remedy


def test_words_too_long_for_a_row_do_not_stop_a_scan_from_ending(
    narrow: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise api.BadConfiguration("x" * 3000, remedy="y" * 3000)

    parent = scan_all(narrow)
    monkeypatch.setattr(scanning, "connect", fail)
    scan_handed_out()
    parent.refresh_from_db()
    assert parent.state == "failed"


FORBIDDEN = 'namespaces is forbidden: User "credboard" cannot list resource "namespaces" in API group "" at all'


@pytest.fixture(name="unlisted")
def _unlisted(demo: DemoCluster, cluster: Cluster) -> Cluster:
    """A cluster whose Namespaces may not be listed."""
    demo.faults.respond(403, path=r"^/api/v1/namespaces(\?|$)", times=None, message=FORBIDDEN)
    cluster.include = ["team-a", "team-b", "no-such-one"]
    return cluster


def test_a_label_selector_is_obeyed_where_namespaces_cannot_be_listed(unlisted: Cluster) -> None:
    unlisted.label_selector = "kubernetes.io/metadata.name in (team-b, team-c)"
    parent = scan_all(unlisted)
    assert (parent.state, parent.namespaces_total) == ("running", 1)
    scan_handed_out()
    assert statuses() == {"team-b": "critical"}


def test_a_label_selector_that_cannot_be_obeyed_fails_the_scan(demo: DemoCluster, unlisted: Cluster) -> None:
    demo.faults.respond(403, path=r"^/api/v1/namespaces/[^/]+$", times=None, message=FORBIDDEN)
    unlisted.label_selector = "team=vision"
    failed = scan_all(unlisted)
    assert (failed.state, failed.error_kind) == ("failed", "Forbidden")
    assert "A label selector needs the right to list or get Namespaces" in failed.error
    assert "--resource=namespaces" in failed.remedy
    assert Namespace.objects.count() == 0


def test_a_namespace_of_which_nothing_proves_that_it_exists_is_not_called_fine(
    demo: DemoCluster, unlisted: Cluster
) -> None:
    demo.faults.respond(403, path=r"^/api/v1/namespaces/[^/]+$", times=None, message=FORBIDDEN)
    scan_all(unlisted)
    scan_handed_out()
    assert statuses() == {"team-a": "ok", "team-b": "critical", "no-such-one": "unknown"}
    row = Namespace.objects.get(name="no-such-one")
    assert (row.reason, row.unreadable) == ("not-checked", {"namespaces": "forbidden"})


@pytest.mark.parametrize("listed", [True, False])
def test_a_label_selector_that_is_none_fails_with_the_setting_to_change(
    request: pytest.FixtureRequest, cluster: Cluster, listed: bool
) -> None:
    scanned: Cluster = cluster if listed else request.getfixturevalue("unlisted")
    scanned.label_selector = "a in ("
    failed = scan_all(scanned)
    assert (failed.state, failed.error_kind) == ("failed", "Invalid")
    assert "The label selector 'a in (' cannot be used" in failed.error
    assert "--selector" in failed.remedy


def test_owners_stay_when_role_bindings_cannot_be_read_once(tmp_path: Path) -> None:
    with DemoCluster(objects=[*OBJECTS, rolebinding("team-a", "grace")], kubelet=False) as demo:
        path = demo.kubeconfig(tmp_path / "kubeconfig")
        cluster = Cluster.objects.create(name="prod-eu", kubeconfig=str(path), include=OWN)
        scan_all(cluster)
        demo.faults.respond(500, path="rolebindings", times=None)
        scan_all(cluster)
    assert "rolebindings" in Namespace.objects.get(name="team-a").unreadable
    assert NamespaceOwner.objects.get().name == "grace"


def test_a_handed_out_scan_whose_workers_died_is_taken_over(narrow: Cluster) -> None:
    left = scan_all(narrow)
    Cluster.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    Namespace.objects.update(next_scan_at=None)
    again = scan_all(Cluster.objects.get())
    scan_handed_out()
    left.refresh_from_db()
    again.refresh_from_db()
    assert (left.error_kind, again.state, again.namespaces_done) == ("Interrupted", "done", 3)


def test_a_cluster_without_namespaces_to_scan_is_done_at_once(narrow: Cluster) -> None:
    narrow.include = ["nobody-*"]
    assert scan_all(narrow).state == "done"


def test_a_handed_out_scan_closes_namespaces_that_are_gone(narrow: Cluster) -> None:
    Namespace.objects.create(cluster=narrow, name="left")
    scan_all(narrow)
    assert Namespace.objects.get(name="left").gone_at is not None


READS = [
    {"apiGroups": [""], "resources": ["secrets", "serviceaccounts", "pods", "events"], "verbs": ["list"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["list"]},
]
_users = itertools.count(1)


@pytest.fixture(name="real")
def _real(apiserver: KubeApiServer, tmp_path: Path) -> Callable[[str], Cluster]:
    """Clusters on the real API server as a user who may do nothing yet."""

    def connect(user: str) -> Cluster:
        apiserver.add_user(user)
        path = apiserver.kubeconfig(tmp_path / f"{user}.kubeconfig", user=user)
        return Cluster.objects.create(name=user, kubeconfig=str(path))

    return connect


def test_with_roles_alone_the_named_namespaces_are_scanned(
    apiserver: KubeApiServer, real: Callable[[str], Cluster]
) -> None:
    cluster = real(f"roles-{next(_users)}")
    readable, refused = apiserver.create_namespace(), apiserver.create_namespace()
    for name in (readable, refused):
        apiserver.apply([secret(name), pod(name)])
    apiserver.grant(cluster.name, READS, namespace=readable)
    cluster.include = [readable, refused]
    parent = scan_all(cluster)
    scan_handed_out()
    parent.refresh_from_db()
    assert (parent.state, parent.mode, parent.namespaces_done) == ("done", "namespaces", 2)
    assert statuses() == {readable: "ok", refused: "unknown"}
    assert Cell.objects.get(namespace__name=readable).status == "ok"


def test_without_rights_and_names_the_scan_fails_with_the_grant_that_is_missing(
    real: Callable[[str], Cluster],
) -> None:
    cluster = real(f"nobody-{next(_users)}")
    cluster.include = ["team-*"]
    failed = scan_all(cluster)
    assert (failed.state, failed.error_kind) == ("failed", "Forbidden")
    assert "--include" in failed.error
    lines = failed.remedy.splitlines()
    assert all(line.startswith("kubectl create clusterrole") for line in lines)
    assert any("--resource=namespaces" in line for line in lines)
    assert any(f"--user={cluster.name}" in line for line in lines)
    assert Cluster.objects.get().lease_until is None


# What a cluster can do to a scan


@dataclass(frozen=True)
class Fault:
    kind: str
    words: str
    inject: Callable[[DemoCluster, Cluster, pytest.MonkeyPatch], object]


def _server(url: Callable[[DemoCluster], str]) -> Callable[[DemoCluster, Cluster, pytest.MonkeyPatch], object]:
    def inject(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        path = Path(cluster.kubeconfig)
        path.write_text(path.read_text(encoding="utf-8").replace(demo.url, url(demo)), encoding="utf-8")

    return inject


def _unresolvable(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    _server(lambda _: "https://api.example.invalid:6443")(demo, cluster, monkeypatch)


def _silent(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from scanner.cluster import Cluster as Api

    monkeypatch.setattr(scanning, "connect", lambda one: Api.from_kubeconfig(one.kubeconfig, read_timeout=0.3))
    demo.faults.hang(3, path="/secrets", times=None)


FAULTS = {
    "401": Fault("Unauthenticated", "does not accept", lambda d, _c, _m: d.faults.respond(401, times=None)),
    "403 of a proxy": Fault("Forbidden", "may not list", lambda d, _c, _m: d.faults.respond(403, times=None)),
    "404": Fault("NotFound", "Not found", lambda d, _c, _m: d.faults.respond(404, path="/pods", times=None)),
    "410": Fault("Gone", "expired", lambda d, _c, _m: d.faults.respond(410, path="/secrets", times=None)),
    "429": Fault("Throttled", "too many requests", lambda d, _c, _m: d.faults.respond(429, times=None, retry_after=60)),
    "500": Fault("Unavailable", "answered 500", lambda d, _c, _m: d.faults.respond(500, path="/pods", times=None)),
    "503": Fault("Unavailable", "answered 503", lambda d, _c, _m: d.faults.respond(503, times=None, retry_after=60)),
    "time-out": Fault("Unavailable", "sent nothing within 0.3 s", _silent),
    "TLS": Fault("Unavailable", "No trusted connection", _server(lambda d: d.url.replace("http:", "https:"))),
    "DNS": Fault("Unavailable", "cannot be resolved", _unresolvable),
    "refused": Fault("Unavailable", "Nothing accepts", _server(lambda _: f"http://127.0.0.1:{free_port()}")),
    "half a body": Fault("Unavailable", "broke off", lambda d, _c, _m: d.faults.cut(path="/secrets", times=None)),
    "a sign-in page": Fault("Unavailable", "not JSON", lambda d, _c, _m: d.faults.raw(b"<html>", times=None)),
    "no kubeconfig": Fault("BadConfiguration", "no kubeconfig", lambda _d, c, _m: Path(c.kubeconfig).unlink()),
    "a broken kubeconfig": Fault(
        "BadConfiguration", "not a kubeconfig", lambda _d, c, _m: Path(c.kubeconfig).write_text("[]", encoding="utf-8")
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_ends_the_scan_in_words_and_leaves_what_was_stored(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    scan_all(cluster)
    before = dump()
    fault.inject(demo, cluster, monkeypatch)
    failed = scan_all(cluster)
    assert (failed.state, failed.error_kind) == ("failed", fault.kind)
    assert fault.words in failed.error
    assert failed.remedy or fault.kind in {"NotFound", "BadConfiguration"}
    assert demo.token not in failed.error + failed.remedy
    assert bool(failed.finished_at)
    after = dump()
    assert after.pop("Scan")[:1] == before.pop("Scan")
    assert after == before
    assert Cluster.objects.get().lease_until is None


@pytest.mark.parametrize("name", ["401", "429", "500", "refused", "half a body", "no kubeconfig"])
def test_a_fault_ends_the_scan_of_one_namespace_in_words_and_leaves_what_was_stored(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scan_all(cluster)
    row = Namespace.objects.select_related("cluster").get(name="team-b")
    before = dump()
    FAULTS[name].inject(demo, row.cluster, monkeypatch)
    done = Scan.objects.get(pk=scan_namespace(row).pk)
    after = dump()
    del after["Scan"], before["Scan"]
    if done.state == "failed":
        assert (done.error_kind, FAULTS[name].words in done.error) == (FAULTS[name].kind, True)
        assert after == before
    else:
        assert statuses()["team-b"] != "ok", "what could not be read is not fine"


def test_a_mistake_of_our_own_is_recorded_by_its_kind_only_and_raised(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> object:
        raise KeyError("s3cr3t")

    monkeypatch.setattr(scanning, "judge_all", stumble)
    with pytest.raises(KeyError):
        scan_cluster(cluster)
    failed = Scan.objects.get()
    assert (failed.state, failed.error_kind) == ("failed", "KeyError")
    assert "s3cr3t" not in failed.error
    assert Cluster.objects.get().lease_until is None


@pytest.fixture(name="silent_broker")
def _silent_broker() -> Iterator[str]:
    """One that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(name="refusing_broker")
def _refusing_broker() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.mark.parametrize("broker", ["refusing_broker", "silent_broker"])
def test_a_request_for_a_scan_does_not_wait_for_a_broker_that_is_down(
    request: pytest.FixtureRequest, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, settings: Any, broker: str
) -> None:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    app = Celery("test", broker=request.getfixturevalue(broker), set_as_current=False)
    app.conf.update(task_publish_retry=False, broker_transport_options=options)
    monkeypatch.setattr(scanning, "current_app", app)
    scan_all(cluster)
    row = Namespace.objects.get(name="team-a")
    connect, settimeout = socket.socket.connect, socket.socket.settimeout
    tries: list[Any] = []
    patience: list[float | None] = []

    def counted(of: socket.socket, address: Any) -> None:
        tries.append(address)
        connect(of, address)

    def told(of: socket.socket, seconds: float | None) -> None:
        patience.append(seconds)
        settimeout(of, seconds)

    monkeypatch.setattr(socket.socket, "connect", counted)
    monkeypatch.setattr(socket.socket, "settimeout", told)
    for ask in (lambda: request_scan(row), lambda: scanning.request_cluster_scan(cluster)):
        tries.clear()
        assert ask() is False
        assert len(tries) == 1
    assert patience
    assert all(seconds is not None and seconds <= 1 for seconds in patience), "no step of it waits longer"
    assert row in Namespace.objects.due(timezone.now()), "the scan follows all the same"
    assert cluster in Cluster.objects.due(timezone.now())


def test_a_request_for_a_scan_tells_the_workers(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, valkey: ValkeyServer
) -> None:
    app = Celery("test", broker=valkey.url, set_as_current=False)
    monkeypatch.setattr(scanning, "current_app", app)
    row = Namespace.objects.create(cluster=cluster, name="team-a")
    assert request_scan(row) is True
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
        message.ack()
    assert message.headers["task"] == tasks.dispatch_scans.name
