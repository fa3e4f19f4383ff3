"""What scans of the demo cluster store, and what they forget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner.models import Cell, Cluster, Finding, Namespace, Scan
from scanner.models.statistics import HELD_BY_SCAN
from scanner.policy import Policy
from scanner.scan import StoredElsewhere, is_selected, scan_namespace
from tests.scanner.scan.builders import scan_all, statuses, stored_namespace
from tests.scanner.verdicts import dump

pytestmark = pytest.mark.django_db
QUAY = "registry/quay.io"


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


def test_a_scan_holds_less_of_the_database_in_memory_than_pages_do(cluster: Cluster) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL holds nothing in our process")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA cache_size = -32000")

        scan_all(cluster)

        assert cursor.execute("PRAGMA cache_size").fetchone() == (-HELD_BY_SCAN,)


def test_a_namespace_that_was_deleted_is_closed_by_the_next_scan(demo: DemoCluster, cluster: Cluster) -> None:
    scan_all(cluster)
    demo.api.remove(*stored_namespace(demo, "team-b"))
    scan_all(cluster)
    assert "team-b" not in statuses()
    assert Finding.objects.open().filter(namespace__name="team-b").count() == 0


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
    places = StoredElsewhere(cluster).named("regcred", besides="team-b")
    assert [place.namespace for place in places.first] == ["closed", "team-a"]
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
