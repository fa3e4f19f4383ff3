"""What a report tells of the time since the last one, and of what was not seen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.reports.building import BLIND, GAPS, NEVER, TOO_OLD
from dashboard.reports.rows import NamespaceRow
from tests.dashboard.report.builders import NOW, QUAY, SINCE, TLS, cell, change, cluster, facts, namespace, only, report


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
