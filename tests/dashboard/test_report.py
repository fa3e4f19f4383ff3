"""What a report tells, from rows: no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.report import LONGEST_LIST, ClusterReport, Report, Top
from dashboard.report_rows import (
    BLIND,
    GAPS,
    NEVER,
    TOO_OLD,
    CellRow,
    Change,
    ClusterRow,
    Facts,
    FailedScan,
    NamespaceRow,
    Problem,
    Reader,
    build_report,
)

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SINCE = NOW - timedelta(days=7)
QUAY, TLS = "registry/quay.io", "tls"


class Links:
    home = "https://credboard.example.com/"

    def cluster(self, cluster: str, credential: str = "") -> str:
        return f"{self.home}?cluster={cluster}&credential={credential}"

    def namespace(self, cluster: str, namespace: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/"

    def cell(self, cluster: str, namespace: str, credential: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/cells/{credential}/"

    def acknowledge(self, cluster: str, namespace: str, credential: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/acknowledge/{credential}/"


def cluster(pk: int = 1, name: str = "prod-eu", **fields: Any) -> ClusterRow:
    values = {"stale_after": timedelta(minutes=2), "scanned_at": NOW, "is_failing": False} | fields
    return ClusterRow(pk=pk, name=name, **values)


def namespace(pk: int = 1, status: str = "ok", **fields: Any) -> NamespaceRow:
    values = {"cluster": 1, "name": f"team-{pk:03}", "reason": "", "scanned_at": NOW, "is_blind": False} | fields
    return NamespaceRow(pk=pk, status=status, **values)


def cell(of: int = 1, told: str = "critical missing", credential: str = QUAY, **fields: Any) -> CellRow:
    status, reason = told.split()
    values = {"since": NOW - timedelta(days=1), "expires_at": None, "expiry_source": ""} | fields
    return CellRow(namespace=of, credential=credential, status=status, reason=reason, **values)


def change(of: int = 1, *, before: str = "ok covered", after: str, credential: str = QUAY, days: float = 1) -> Change:
    was, _, why = before.partition(" ")
    return Change(of, credential, NOW - timedelta(days=days), was, why, after)


def facts(
    namespaces: list[NamespaceRow], cells: tuple[CellRow, ...] = (), changes: tuple[Change, ...] = (), **fields: Any
) -> Facts:
    values: dict[str, Any] = {"clusters": {1: cluster()}, "acknowledged": {}, "problems": {}} | fields
    return Facts(
        now=NOW,
        namespaces={one.pk: one for one in namespaces},
        cells={one.pk: [row for row in cells if row.namespace == one.pk] for one in namespaces},
        changes={one.pk: [row for row in changes if row.namespace == one.pk] for one in namespaces},
        **values,
    )


def report(of: Facts, *, visible: list[int] | None = None, is_operator: bool = True) -> Report:
    reader = Reader(
        name="ada",
        is_operator=is_operator,
        since=SINCE,
        frequency="weekly",
        time_zone="Europe/Berlin",
        settings_url="",
        unsubscribe_url="",
    )
    return build_report(of, reader, visible=list(of.namespaces) if visible is None else visible, links=Links())


def only(of: Facts, **options: Any) -> ClusterReport:
    (one,) = report(of, **options).clusters
    return one


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


class TestNotSeen:
    @pytest.mark.parametrize(
        ("row", "why"),
        [
            (namespace(scanned_at=NOW - timedelta(minutes=3)), TOO_OLD),
            (namespace(scanned_at=None, status="unknown", reason="not-checked"), NEVER),
            (namespace(is_blind=True), BLIND),
            (namespace(status="unknown", reason="not-checked"), GAPS),
        ],
    )
    @pytest.mark.parametrize("is_operator", [True, False])
    def test_what_was_not_seen_is_told_and_is_never_good(self, row: NamespaceRow, why: str, is_operator: bool) -> None:
        told = report(facts([row]), is_operator=is_operator)

        assert not told.is_good
        assert [(one.name, one.why) for one in told.clusters[0].unseen] == [("team-001", why)]

    def test_a_stale_namespace_counts_as_unknown_and_is_in_no_other_list(self) -> None:
        row = namespace(status="critical", scanned_at=NOW - timedelta(hours=1))
        ends = cell(told="warning expiring", credential=TLS, expires_at=NOW + timedelta(days=3))
        changes = (change(after="critical"), change(before="critical missing", after="ok", credential=TLS))

        told = only(facts([row], (cell(), ends), changes))

        assert (told.counts.unknown, told.counts.critical) == (1, 0)
        assert not any((told.namespaces, told.new, told.resolved, told.expiring, told.credentials))

    def test_what_a_half_read_namespace_shows_is_told_as_well(self) -> None:
        told = only(facts([namespace(status="critical", is_blind=True)], (cell(),)))

        assert told.unseen
        assert told.namespaces

    def test_a_cluster_whose_scans_fail_or_never_ran_is_not_good_even_without_a_namespace(self) -> None:
        for row in (cluster(is_failing=True), cluster(scanned_at=None), cluster(scanned_at=SINCE)):
            assert not report(facts([], clusters={1: row})).is_good


class TestChanges:
    def test_what_became_worse_and_still_is_wrong_is_new(self) -> None:
        told = only(facts([namespace(status="critical")], (cell(),), (change(after="critical"),)))

        assert [item.credential for item in told.new] == [QUAY]
        assert not told.resolved

    def test_a_new_cell_that_is_wrong_is_new(self) -> None:
        told = only(facts([namespace(status="critical")], (cell(),), (change(before="", after="critical"),)))

        assert told.new

    def test_what_was_wrong_before_and_is_not_worse_is_not_new(self) -> None:
        changes = (change(before="critical missing", after="critical"),)

        assert not only(facts([namespace(status="critical")], (cell(),), changes)).new

    def test_what_came_before_the_time_of_the_report_is_not_new(self) -> None:
        assert not only(facts([namespace(status="critical")], (cell(),), (change(after="critical", days=8),))).new

    def test_a_change_that_was_recorded_after_the_last_report_is_not_lost(self) -> None:
        late = change(after="critical", days=7 + 5 / 1440)

        assert only(facts([namespace(status="critical")], (cell(),), (late,))).new

    def test_what_was_wrong_and_is_well_is_resolved(self) -> None:
        changes = (
            change(after="critical", days=3),
            change(before="critical missing", after="ok", days=2),
        )
        (item,) = only(facts([namespace()], (), changes)).resolved

        assert (item.status, item.reason, item.what) == ("ok", "missing", "Was missing.")
        assert item.since == NOW - timedelta(days=2)

    def test_what_nothing_needs_any_more_is_resolved_and_leads_to_its_namespace(self) -> None:
        (item,) = only(facts([namespace()], (), (change(before="critical missing", after=""),))).resolved

        assert item.status == ""
        assert item.url.endswith("/team-001/")

    def test_what_went_and_came_back_is_neither_new_nor_resolved(self) -> None:
        changes = (
            change(before="critical missing", after="ok", days=2),
            change(before="ok covered", after="critical", days=1),
        )
        told = only(facts([namespace(status="critical")], (cell(),), changes))

        assert not told.resolved
        assert not told.new


class TestExpiring:
    @pytest.mark.parametrize(("days", "is_told"), [(-1, False), (0, False), (1, True), (30, True), (31, False)])
    def test_what_ends_within_thirty_days_is_told(self, days: int, is_told: bool) -> None:
        ends = cell(told="ok valid", credential=TLS, expires_at=NOW + timedelta(days=days))

        assert bool(only(facts([namespace()], (ends,))).expiring) is is_told

    def test_the_first_to_end_comes_first(self) -> None:
        rows = [namespace(1), namespace(2)]
        cells = tuple(cell(pk, "ok valid", TLS, expires_at=NOW + timedelta(days=9 - pk)) for pk in (1, 2))

        assert [one.namespace for one in only(facts(rows, cells)).expiring] == ["team-002", "team-001"]

    def test_a_token_that_is_renewed_all_the_time_is_told_only_when_it_is_not(self) -> None:
        ends = {"expires_at": NOW + timedelta(hours=8), "expiry_source": "derived"}

        assert not only(facts([namespace()], (cell(told="ok covered", **ends),))).expiring
        assert only(facts([namespace(status="warning")], (cell(told="warning expiring", **ends),))).expiring

    def test_a_certificate_that_ends_soon_and_is_judged_well_leaves_the_report_good(self) -> None:
        told = report(facts([namespace()], (cell(told="ok valid", expires_at=NOW + timedelta(days=20)),)))

        assert told.is_good
        assert told.clusters[0].expiring


class TestAcknowledged:
    def test_it_is_set_apart_and_does_not_spoil_a_good_report(self) -> None:
        rows = facts(
            [namespace(status="critical")],
            (cell(),),
            (change(after="critical"),),
            acknowledged={(1, QUAY): "Acknowledged by ada until 2026-12-01."},
        )
        told = report(rows)

        (item,) = told.clusters[0].acknowledged
        assert item.note == "Acknowledged by ada until 2026-12-01."
        assert not any((told.clusters[0].namespaces, told.clusters[0].new, told.clusters[0].credentials))
        assert told.is_good
        assert told.counts.critical == 1

    def test_what_else_is_wrong_there_is_still_told(self) -> None:
        rows = facts(
            [namespace(status="critical")],
            (cell(), cell(told="critical expired", credential=TLS)),
            acknowledged={(1, QUAY): "Snoozed by ada until 2026-12-01."},
        )
        (first,) = only(rows).namespaces

        assert [item.credential for item in first.items] == [TLS]


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
