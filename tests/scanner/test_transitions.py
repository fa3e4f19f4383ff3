"""How cells changed, as scans record it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from scanner.models import NO_CELL, Cluster, Namespace, Scan, Transition
from scanner.recording import BATCH, close_namespace, mark_gone
from scanner.verdict import Verdict
from tests import factories
from tests.scanner.verdicts import NOON, QUAY, cell, dump, result, scanned, verdict

pytestmark = pytest.mark.django_db

WELL = verdict(cells=[cell(told="ok covered")])
SICK = verdict(cells=[cell()])
EMPTY = verdict()

Change = tuple[str, str]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return Cluster.objects.create(name="prod-eu")


def whole_scan(cluster: Cluster, *verdicts: Verdict, minute: float = 0) -> None:
    """As a scan of the whole cluster that reaches its end."""
    scanned(cluster, *verdicts, now=at(minute))
    mark_gone(cluster, unseen_since=at(minute), now=at(minute))
    factories.scan(cluster, started_at=at(minute), finished_at=at(minute), state=Scan.State.DONE)


def changes() -> list[Change]:
    """Each transition's state before and after, in the order in which they were recorded."""
    return [
        (f"{one.status_before} {one.reason_before}".strip(), f"{one.status_after} {one.reason_after}".strip())
        for one in Transition.objects.order_by("pk")
    ]


def test_what_the_first_scan_of_a_cluster_finds_is_no_change(cluster: Cluster) -> None:
    whole_scan(cluster, SICK, verdict("team-b", cells=[cell("tls", "warning expiring")]))
    assert changes() == []


def test_a_first_scan_of_many_batches_records_none_in_any_of_them(cluster: Cluster) -> None:
    whole_scan(cluster, *(verdict(f"team-{number:04}", cells=[cell()]) for number in range(BATCH + 1)))
    assert changes() == []


def test_a_first_scan_that_broke_off_leaves_the_rest_to_be_found_without_a_change(cluster: Cluster) -> None:
    scanned(cluster, SICK, now=at(0))
    whole_scan(cluster, SICK, verdict("team-b", cells=[cell()]), minute=1)
    assert changes() == []


def test_a_problem_in_a_namespace_that_comes_later_is_a_change(cluster: Cluster) -> None:
    whole_scan(cluster, SICK)
    whole_scan(cluster, SICK, verdict("team-b", cells=[cell(told="critical denied")]), minute=1)
    one = Transition.objects.select_related("namespace", "credential").get()
    assert (one.namespace.name, one.credential.slug, one.at) == ("team-b", QUAY, at(1))
    assert changes() == [("", "critical denied")]


def test_a_first_scan_of_another_cluster_makes_none_of_its_own(cluster: Cluster) -> None:
    whole_scan(cluster, SICK)
    whole_scan(Cluster.objects.create(name="staging"), SICK, minute=1)
    assert changes() == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("ok covered", "critical missing", [("ok covered", "critical missing")]),
        ("critical missing", "ok covered", [("critical missing", "ok covered")]),
        ("warning expiring", "critical expired", [("warning expiring", "critical expired")]),
        ("critical missing", "critical denied", [("critical missing", "critical denied")]),
        ("critical missing", "critical missing", []),
    ],
    ids=["worse", "better", "worse still", "another reason", "the same"],
)
def test_a_change_is_of_status_or_reason(cluster: Cluster, before: str, after: str, expected: list[Change]) -> None:
    whole_scan(cluster, verdict(cells=[cell(told=before)]))
    whole_scan(cluster, verdict(cells=[cell(told=after, pod_count=3)], labels={"new": "label"}), minute=1)
    assert changes() == expected


def test_only_the_cells_that_changed_are_recorded(cluster: Cluster) -> None:
    whole_scan(cluster, verdict(cells=[cell(told="ok covered"), cell("tls", "warning expiring")]))
    whole_scan(cluster, verdict(cells=[cell(), cell("tls", "warning expiring")]), minute=1)
    assert changes() == [("ok covered", "critical missing")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (EMPTY, WELL, []),
        (WELL, EMPTY, []),
        (EMPTY, SICK, [(NO_CELL, "critical missing")]),
        (SICK, EMPTY, [("critical missing", NO_CELL)]),
    ],
    ids=["comes well", "goes well", "comes sick", "goes sick"],
)
def test_a_cell_that_comes_or_goes_is_a_change_unless_it_is_well(
    cluster: Cluster, before: Verdict, after: Verdict, expected: list[Change]
) -> None:
    whole_scan(cluster, before)
    whole_scan(cluster, after, minute=1)
    assert changes() == expected


def test_a_cell_that_cannot_be_judged_any_more_becomes_unknown_and_comes_back(cluster: Cluster) -> None:
    whole_scan(cluster, WELL)
    whole_scan(cluster, verdict(unreadable={"secrets": "forbidden"}), minute=1)
    whole_scan(cluster, WELL, minute=2)
    assert changes() == [("ok covered", "unknown not-checked"), ("unknown not-checked", "ok covered")]


def test_the_cell_of_a_finding_whose_check_was_not_asked_becomes_unknown(cluster: Cluster) -> None:
    whole_scan(cluster, verdict(cells=[cell()], findings=[result()]))
    whole_scan(cluster, verdict(unasked={"PS01": "the check failed (KeyError)"}), minute=1)
    assert changes() == [("critical missing", "unknown not-checked")]


def test_a_namespace_that_is_gone_takes_its_problems_along(cluster: Cluster) -> None:
    told = [cell(), cell("registry/harbor.example.com", "ok covered"), cell("tls", "unknown not-checked")]
    whole_scan(cluster, verdict(cells=told), verdict("team-b", cells=[cell()]))
    whole_scan(cluster, verdict("team-b", cells=[cell()]), minute=1)
    assert sorted(changes()) == [("critical missing", NO_CELL), ("unknown not-checked", NO_CELL)]
    assert set(Transition.objects.values_list("namespace__name", "at")) == {("team-vision", at(1))}


def test_a_namespace_that_is_closed_twice_goes_once(cluster: Cluster) -> None:
    whole_scan(cluster, SICK)
    namespace = Namespace.objects.get()
    for minute in (1, 2):
        close_namespace(namespace, now=at(minute))
    assert changes() == [("critical missing", NO_CELL)]


def test_a_namespace_that_comes_back_brings_its_problems(cluster: Cluster) -> None:
    whole_scan(cluster, SICK)
    whole_scan(cluster, minute=1)
    whole_scan(cluster, SICK, minute=2)
    assert changes() == [("critical missing", NO_CELL), (NO_CELL, "critical missing")]


def test_rescans_add_nothing(cluster: Cluster) -> None:
    whole_scan(cluster, WELL)
    for minute in (1, 2, 3):
        whole_scan(cluster, SICK, minute=minute)
    assert changes() == [("ok covered", "critical missing")]


def test_a_scan_that_is_delivered_twice_records_its_changes_once(cluster: Cluster) -> None:
    """As when a worker is killed between a batch and the end of its task."""
    whole_scan(cluster, WELL)
    scanned(cluster, SICK, now=at(1))
    before = dump()
    Namespace.objects.update(digest="")
    scanned(cluster, SICK, now=at(1))
    assert dump() == before


def test_the_scan_of_one_namespace_records_changes_as_that_of_its_cluster_does(cluster: Cluster) -> None:
    """Where no list of a whole cluster is allowed there is no end of a first scan, but each Namespace has its own."""
    scanned(cluster, WELL, now=at(0))
    scanned(cluster, SICK, now=at(1))
    assert changes() == [("ok covered", "critical missing")]


def test_transitions_are_told_by_cluster_cell_and_time(cluster: Cluster) -> None:
    whole_scan(cluster, WELL, verdict("team-b", cells=[cell(told="ok covered")]))
    whole_scan(cluster, SICK, verdict("team-b", cells=[cell(told="warning expiring")]), minute=1)
    whole_scan(cluster, SICK, verdict("team-b", cells=[cell(told="ok covered")]), minute=2)
    rows = Transition.objects
    first = rows.of_cell(Namespace.objects.get(name="team-vision"), QUAY).get()
    assert (first.status_after, str(first).partition(": ")[2]) == ("critical", "ok → critical")
    assert rows.of_cluster(cluster).count() == 3
    assert [one.status_after for one in rows.between(at(1), at(2)).order_by("namespace__name")] == [
        "warning",
        "critical",
    ]
    assert [one.status_after for one in rows.after(rows.between(at(0), at(2)).order_by("-pk")[0].pk)] == ["ok"]
