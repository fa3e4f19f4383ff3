from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection

from scanner.check import Status, rank
from scanner.models import Cell, Cluster, Credential, Namespace, NamespaceOwner, Scan, refresh_statistics
from tests.scanner.verdicts import NOON, cell, scanned, verdict

pytestmark = pytest.mark.django_db


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return Cluster.objects.create(name="prod-eu", scan_interval=60, next_scan_at=NOON)


# Claims and leases


def test_of_two_that_claim_a_due_scan_one_wins(cluster: Cluster) -> None:
    one, other = Cluster.objects.due(at(0)).get(), Cluster.objects.due(at(0)).get()
    assert [one.claim_scan(now=at(0)), other.claim_scan(now=at(0))] == [True, False]
    assert Cluster.objects.get().next_scan_at == at(60)
    assert not Cluster.objects.due(at(59)).exists()
    assert Cluster.objects.due(at(60)).exists()


def test_of_two_that_claim_a_due_namespace_one_wins(cluster: Cluster) -> None:
    Namespace.objects.create(cluster=cluster, name="team-a", next_scan_at=at(0))
    one, other = Namespace.objects.due(at(0)).get(), Namespace.objects.due(at(0)).get()
    assert [one.claim_scan(), other.claim_scan()] == [True, False]
    assert not Namespace.objects.due(at(9_999)).exists()


def test_a_cluster_that_is_not_scheduled_and_a_namespace_that_is_gone_are_never_due(cluster: Cluster) -> None:
    Cluster.objects.update(next_scan_at=None)
    Namespace.objects.create(cluster=cluster, name="team-a", next_scan_at=at(0), gone_at=at(0))
    assert not Cluster.objects.due(at(9_999)).exists()
    assert not Namespace.objects.due(at(9_999)).exists()


def test_a_lease_is_held_by_one_until_it_runs_out(cluster: Cluster) -> None:
    other = Cluster.objects.get()
    assert cluster.take_lease(now=at(0), seconds=30)
    assert not other.take_lease(now=at(29), seconds=30)
    assert other.take_lease(now=at(30), seconds=30)


def test_a_lease_that_was_taken_over_can_be_neither_kept_nor_ended_by_the_first(cluster: Cluster) -> None:
    other = Cluster.objects.get()
    assert cluster.take_lease(now=at(0), seconds=30)
    assert cluster.extend_lease(now=at(20), seconds=30)
    assert other.take_lease(now=at(51), seconds=30)
    assert not cluster.extend_lease(now=at(52), seconds=30)
    cluster.end_lease()
    assert Cluster.objects.get().lease_until == at(81)
    other.end_lease()
    assert Cluster.objects.get().lease_until is None


def test_a_scan_or_lease_further_ahead_than_can_be_is_due_and_free(cluster: Cluster) -> None:
    """Left by a clock that ran ahead and was set back."""
    for ahead, is_due in ((119, False), (120, False), (7_200, True)):
        Cluster.objects.update(next_scan_at=at(ahead))
        assert Cluster.objects.due(at(0)).exists() is is_due
    for ahead, is_free in ((30, False), (59, False), (7_200, True)):
        Cluster.objects.update(lease_until=at(ahead))
        assert Cluster.objects.get().take_lease(now=at(0), seconds=30) is is_free


def test_a_lease_that_was_never_taken_cannot_be_extended(cluster: Cluster) -> None:
    assert not cluster.extend_lease(now=at(0), seconds=30)


def test_a_scan_that_found_a_lease_is_tried_again_when_it_can_have_run_out(cluster: Cluster) -> None:
    assert cluster.take_lease(now=at(0), seconds=30)
    for scheduled, then in ((at(3_600), at(30)), (at(10), at(10)), (None, None)):
        Cluster.objects.update(next_scan_at=scheduled)
        cluster.retry_when_free()
        assert Cluster.objects.get().next_scan_at == then


def test_a_namespace_reports_back_once(cluster: Cluster) -> None:
    scan = Scan.objects.create(cluster=cluster, started_at=at(0))
    row = Namespace.objects.create(cluster=cluster, name="team-a", handed_out_by=scan)
    assert [row.report_back(), Namespace.objects.get().report_back(), row.report_back()] == [scan, None, None]


# What is too old


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("age", "stale"),
    [(0, False), (120, False), (120.001, True), (9_999, True), (None, True), (-120, False), (-120.001, True)],
)
def test_what_was_seen_too_long_ago_is_unknown_in_python_and_in_the_database_alike(
    cluster: Cluster, status: Status, age: float | None, stale: bool
) -> None:
    now = at(10_000)
    scanned_at = None if age is None else now - timedelta(seconds=age)
    row = Namespace.objects.create(
        cluster=cluster, name="team-a", status=status, rank=rank(status), critical_cells=2, scanned_at=scanned_at
    )
    column = Credential.objects.create(cluster=cluster, slug="tls")
    Cell.objects.create(
        namespace=row, credential=column, status=status, rank=rank(status), reason="expired", since=at(0)
    )
    expected = Status.UNKNOWN if stale else status
    assert (row.is_stale(now), row.status_at(now)) == (stale, expected)
    judged = Namespace.objects.judged(cluster, now=now).get()
    assert (judged.rank_now, judged.critical_now) == (rank(expected), 0 if stale else 2)  # type: ignore[attr-defined]
    assert Namespace.objects.judged(cluster, now=now, credential="tls").get().rank_now == rank(expected)  # type: ignore[attr-defined]
    told = [("tls", "ok", "", 0)]  # the column is there; what is well is not counted
    if expected is not Status.OK:
        told.append(("tls", expected, "stale" if stale else "expired", 1))
    for visible in (None, Namespace.objects.all()):
        assert sorted(Cell.objects.counts(cluster, now=now, visible=visible)) == sorted(told)


def test_a_namespace_that_was_never_scanned_is_unknown(cluster: Cluster) -> None:
    row = Namespace.objects.create(cluster=cluster, name="team-a")
    assert (row.status, row.rank, row.status_at(at(0))) == ("unknown", rank(Status.UNKNOWN), Status.UNKNOWN)


def test_ranks_and_statuses_that_a_scan_stores_agree(cluster: Cluster) -> None:
    told = [cell(f"registry/{status}.io", f"{status} because") for status in Status]
    scanned(cluster, verdict(cells=told))
    for one in Cell.objects.all():
        assert one.rank == rank(one.status)
    row = Namespace.objects.get()
    assert (row.status, row.rank, row.critical_cells) == ("critical", 3, 1)


# Who sees what


def test_owners_see_their_namespaces_and_operators_all(cluster: Cluster) -> None:
    names = ("by-name", "by-mail", "by-group", "of-others", "gone")
    rows = {name: Namespace.objects.create(cluster=cluster, name=name) for name in names}
    Namespace.objects.filter(name="gone").update(gone_at=at(0))
    for name, kind, owner in (
        ("by-name", "user", "ada"),
        ("by-mail", "user", "ada@example.com"),
        ("by-group", "group", "vision"),
        ("of-others", "group", "ada"),
        ("gone", "user", "ada"),
    ):
        NamespaceOwner.objects.create(namespace=rows[name], kind=kind, name=owner, source="profile")
    ada = User.objects.create_user(username="ada", email="ada@example.com", password="correct horse battery")
    ada.groups.add(Group.objects.create(name="vision"))

    def seen(user: User | AnonymousUser) -> set[str]:
        return set(Namespace.objects.visible_to(user).values_list("name", flat=True))

    assert seen(ada) == {"by-name", "by-mail", "by-group"}
    assert seen(User.objects.create(username="root", is_staff=True)) == set(names) - {"gone"}
    assert seen(User.objects.create(username="stranger")) == set()
    assert seen(AnonymousUser()) == set()
    ada.is_active = False
    assert seen(ada) == set()


def test_a_person_without_an_address_owns_nothing_by_an_empty_name(cluster: Cluster) -> None:
    row = Namespace.objects.create(cluster=cluster, name="odd")
    NamespaceOwner.objects.create(namespace=row, kind="user", name="", source="profile")
    assert not Namespace.objects.visible_to(User.objects.create(username="ada")).exists()


# Words


def test_a_scan_knows_how_far_it_is(cluster: Cluster) -> None:
    scan = Scan(cluster=cluster, started_at=NOON, namespaces_done=5)
    assert scan.percent == 0
    scan.namespaces_total = 20
    assert scan.percent == 25
    scan.namespaces_done = 99
    assert scan.percent == 100


def test_a_column_is_called_by_what_it_is_for(cluster: Cluster) -> None:
    assert [(c.kind, c.label) for c in (Credential(slug="registry/quay.io"), Credential(slug="tls"))] == [
        ("registry", "quay.io"),
        ("tls", "TLS"),
    ]


def test_the_database_is_told_how_its_tables_look(cluster: Cluster) -> None:
    scanned(cluster, verdict(cells=[cell("tls", "ok covered")]))

    refresh_statistics()

    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT idx FROM sqlite_stat1 WHERE tbl = 'scanner_cell'")
            assert {"cell_counts", "cell_of_column"} <= {name for (name,) in cursor.fetchall()}
