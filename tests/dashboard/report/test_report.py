"""What a report tells, from rows: no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.reports.report import LONGEST_LIST, Top
from dashboard.reports.rows import FailedScan, Problem
from tests.dashboard.report.builders import NOW, QUAY, SINCE, TLS, cell, change, cluster, facts, namespace, only, report


def test_a_cluster_where_all_is_well_is_good() -> None:
    told = report(facts([namespace(1), namespace(2)]))

    assert told.is_good
    assert (told.counts.ok, told.counts.total) == (2, 2)
    assert not told.clusters[0].namespaces


def test_each_item_says_what_since_when_and_where_to_repair_it() -> None:
    problem = Problem("Pod web-0 names the pull Secret regcred, which is not here.", NOW)
    told = only(facts([namespace(status="critical")], (cell(),), problems={(1, QUAY): problem}), is_operator=False)

    (first,) = told.namespaces
    (item,) = first.items
    assert (item.namespace, item.label, item.status, item.reason_words) == (
        "team-001",
        "quay.io",
        "critical",
        "missing",
    )
    assert item.what == problem.message
    assert item.since == NOW - timedelta(days=1)
    assert item.url == "https://credboard.example.com/n/prod-eu/team-001/cells/registry/quay.io/"


@pytest.mark.parametrize("told", ["critical missing", "unknown unreachable", "warning expiring"])
def test_each_cell_in_trouble_has_the_link_that_acknowledges_it(told: str) -> None:
    ends = {"expires_at": NOW + timedelta(days=2)}
    status, _ = told.split()
    made = only(facts([namespace(status=status)], (cell(told=told, **ends),), (change(after=status),)))

    links = {item.acknowledge_url for item in (*next(iter(made.namespaces)).items, *made.new, *made.expiring)}
    assert links == {"https://credboard.example.com/n/prod-eu/team-001/acknowledge/registry/quay.io/"}


def test_nothing_else_has_such_a_link() -> None:
    ends = cell(1, "ok valid", TLS, expires_at=NOW + timedelta(days=2))
    was = change(1, before="critical missing", after="ok", credential="registry/gcr.io")
    rows = [namespace(1, "critical"), namespace(2, "warning", reason="literal")]
    told = only(facts(rows, (cell(1), ends), (was,), acknowledged={(1, QUAY): "Snoozed by ada."}))

    items = [*told.acknowledged, *told.expiring, *told.resolved, *next(iter(told.namespaces)).items]
    assert [item.acknowledge_url for item in items] == ["", "", "", ""]


def test_a_cell_without_a_finding_is_told_in_the_words_of_its_reason() -> None:
    (first,) = only(facts([namespace(status="critical")], (cell(),))).namespaces

    assert [item.what for item in first.items] == ["Missing here."]


def test_a_namespace_worse_than_its_cells_is_told_by_itself() -> None:
    rows = [namespace(status="warning", reason="literal")]
    told = only(facts(rows, problems={(1, ""): Problem("Pod web-0 has a password in its spec.", SINCE)}))

    (item,) = next(iter(told.namespaces)).items
    assert (item.credential, item.label, item.reason, item.since) == ("", "", "literal", SINCE)
    assert item.url == "https://credboard.example.com/n/prod-eu/team-001/"


def test_only_visible_namespaces_are_told() -> None:
    rows = facts([namespace(1, "critical"), namespace(2, "critical")], (cell(1), cell(2)))

    told = only(rows, visible=[2], is_operator=False)

    assert [one.name for one in told.namespaces] == ["team-002"]
    assert told.counts.total == 1


def test_a_namespace_that_vanished_meanwhile_is_left_out() -> None:
    assert not report(facts([]), visible=[99], is_operator=False).clusters


def test_the_worst_namespaces_come_first() -> None:
    rows = [namespace(1, "warning"), namespace(2, "critical"), namespace(3, "unknown"), namespace(4, "critical")]
    cells = (
        cell(1, "warning expiring"),
        cell(2),
        cell(3, "unknown unreachable"),
        cell(4),
        cell(4, "critical denied", TLS),
    )

    assert [one.name for one in only(facts(rows, cells)).namespaces] == ["team-004", "team-002", "team-003", "team-001"]


class TestOperators:
    def test_credentials_are_counted_by_the_namespaces_they_hurt(self) -> None:
        rows = [namespace(pk, "critical") for pk in (1, 2, 3)]
        cells = (cell(1), cell(2, "warning expiring"), cell(3, "critical expired", TLS))

        lines = only(facts(rows, cells)).credentials

        assert [(one.label, one.namespaces, one.critical) for one in lines] == [("quay.io", 2, 1), ("TLS", 1, 1)]

    @pytest.mark.parametrize(
        ("told", "worst"),
        [
            (("unknown unreachable",), "unknown"),
            (("warning expiring", "unknown unreachable"), "unknown"),
            (("warning expiring", "warning expiring"), "warning"),
            (("unknown unreachable", "critical missing"), "critical"),
        ],
    )
    def test_a_credential_is_as_bad_as_where_it_is_worst(self, told: tuple[str, ...], worst: str) -> None:
        rows = [namespace(pk, "critical") for pk in range(1, len(told) + 1)]
        cells = tuple(cell(pk, words) for pk, words in enumerate(told, start=1))

        assert [one.status for one in only(facts(rows, cells)).credentials] == [worst]

    def test_a_day_without_a_good_scan_is_not_a_day_without_problems(self) -> None:
        today = NOW.date()
        trends = {1: {today - timedelta(days=3): 4, today - timedelta(days=1): 2}}

        told = only(facts([namespace()], trends=trends))

        assert [day.critical for day in told.trend] == [4, None, 2, None]

    def test_failed_scans_of_the_cluster_come_before_those_of_namespaces(self) -> None:
        scans = (
            FailedScan(1, "team-001", "Forbidden.", 3, NOW),
            FailedScan(1, "", "The API server did not answer.", 2, SINCE),
            FailedScan(2, "", "Another cluster.", 1, NOW),
        )
        told = only(facts([namespace()], failed_scans=scans))

        assert [(one.namespace, one.times) for one in told.failed_scans] == [("", 2), ("team-001", 3)]

    def test_owners_are_told_nothing_of_the_cluster_itself(self) -> None:
        rows = facts(
            [namespace(status="critical")],
            (cell(),),
            trends={1: {NOW.date(): 1}},
            failed_scans=(FailedScan(1, "", "10.0.0.1 refused.", 1, NOW),),
            clusters={1: cluster(is_failing=True)},
        )
        told = only(rows, is_operator=False)

        assert not any((told.trend, told.failed_scans, told.credentials, told.is_failing))

    def test_clusters_come_by_name(self) -> None:
        rows = facts([namespace()], clusters={1: cluster(1, "prod-us"), 2: cluster(2, "prod-eu")})

        assert [one.name for one in report(rows).clusters] == ["prod-eu", "prod-us"]


def test_every_list_is_bounded_and_says_how_many_are_left_out() -> None:
    rows = [namespace(pk, "critical") for pk in range(1, 51)]
    ends = {"expires_at": NOW + timedelta(days=2)}
    cells = tuple(
        cell(pk, "critical expiring", f"registry/r{number}.example.com", **ends)
        for pk in range(1, 51)
        for number in range(30)
    )
    changes = tuple(change(row.namespace, after="critical", credential=row.credential) for row in cells)
    gone = tuple(change(pk, before="critical missing", after="ok", credential=TLS) for pk in range(1, 51))

    told = only(facts(rows, cells, changes + gone))

    assert (len(told.namespaces.items), told.namespaces.more) == (LONGEST_LIST, 30)
    assert all(one.items.total == 30 and len(one.items.items) == LONGEST_LIST for one in told.namespaces)
    assert (told.new.total, told.expiring.total, told.resolved.total, told.credentials.total) == (1500, 1500, 50, 30)
    for listed in (told.new, told.expiring, told.resolved, told.credentials):
        assert len(listed.items) == LONGEST_LIST


def test_a_short_list_leaves_nothing_out() -> None:
    assert (Top.of([1, 2]).items, Top.of([1, 2]).more, bool(Top.of([]))) == ((1, 2), 0, False)


def test_times_are_written_alike_in_every_language_on_the_readers_clock() -> None:
    told = report(facts([namespace()]))

    assert told.moment(NOW) == "2026-11-23 10:00"
    assert told.day(datetime(2026, 11, 23, 23, 30, tzinfo=UTC)) == "2026-11-24"
