"""Scans with less than all rights: of the demo cluster, and of a real API server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner import cluster as api
from scanner import scan as scanning
from scanner.models import Cell, Cluster, Namespace, NamespaceOwner, Scan
from scanner.scan import scan_cluster, scan_namespace
from tests.rig.apiserver import KubeApiServer
from tests.scanner.scan.builders import (
    FORBIDDEN,
    OBJECTS,
    OWN,
    pod,
    rolebinding,
    scan_all,
    scan_handed_out,
    secret,
    statuses,
)

pytestmark = pytest.mark.django_db


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
