"""From what scans store to what stands in the outbox."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest

from dashboard.alerting import planning
from dashboard.alerting.planning import plan
from dashboard.alerting.present import send_present_trouble
from dashboard.models import (
    Acknowledgement,
    AlertItem,
    AlertMessage,
    AlertRoute,
    PlannedTransition,
    ToldCell,
)
from scanner.models import Cluster, Namespace
from tests.dashboard.alerting.builders import at, planned, route, scan, team, titles, transition
from tests.scanner.verdicts import QUAY

pytestmark = pytest.mark.django_db

WELL, REJECTED, MISSING = "ok covered", "critical rejected", "critical missing"
TEAMS = [f"team-{number:02}" for number in range(14)]


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    cluster = Cluster.objects.create(name="prod-eu", scan_interval=86_400)
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=-10)
    plan(now=at(-10))
    return cluster


def test_one_dead_credential_in_fourteen_namespaces_is_one_message_a_minute_later(cluster: Cluster) -> None:
    route()
    scan(cluster, dict.fromkeys(TEAMS, REJECTED), minute=0)
    assert planned(0.1) == []
    (message,) = planned(1.2)
    assert message.title == "registry/quay.io: rejected in 14 Namespaces"
    assert "cluster=prod-eu&credential=registry%2Fquay.io&reason=rejected" in message.body
    assert message.state == "pending"


def test_what_the_first_scan_of_a_cluster_finds_is_not_told(cluster: Cluster) -> None:
    route()
    other = Cluster.objects.create(name="new")
    scan(other, {"team-a": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert titles(2) == []


def test_later_namespaces_join_the_message_while_it_collects_and_open_another_one_after(cluster: Cluster) -> None:
    route()
    for number, minute, later in ((1, 0, 0.2), (2, 0.5, 1.2), (3, 2, 2.2)):
        scan(cluster, dict.fromkeys(TEAMS[:number], REJECTED), minute=minute)
        plan(now=at(minute + 0.1))
        plan(now=at(later))
    assert titles(4) == ["registry/quay.io: rejected in 2 Namespaces", "registry/quay.io: rejected in team-02"]


def test_a_recovery_is_a_message_of_its_own_with_what_is_left(cluster: Cluster) -> None:
    route()
    scan(cluster, dict.fromkeys(TEAMS, REJECTED), minute=0)
    plan(now=at(0.1))
    planned(2)
    scan(cluster, dict.fromkeys(TEAMS[:9], WELL), minute=3)
    plan(now=at(3.1))
    assert titles(5)[1:] == ["registry/quay.io: recovered in 9 Namespaces; still in trouble in 5"]


def test_a_recovery_is_told_only_where_the_trouble_was(cluster: Cluster) -> None:
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    route(listens_since=at(1))
    scan(cluster, {"team-00": WELL}, minute=3)
    plan(now=at(3.1))
    assert titles(5) == []


def test_planning_twice_plans_nothing_twice(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    for minute in (0.1, 0.1, 0.2, 1.5, 1.5, 1.6):
        plan(now=at(minute))
    assert AlertMessage.objects.count() == AlertItem.objects.count() == 1


def test_what_becomes_visible_after_later_changes_is_not_missed(cluster: Cluster) -> None:
    """A long scan commits after a short one that began later, with older times and, on PostgreSQL, lower pks."""
    route()
    transition(cluster, "team-01", WELL, REJECTED, minute=20)
    plan(now=at(20.1))
    transition(cluster, "team-00", WELL, MISSING, minute=0)
    plan(now=at(20.2))
    assert titles(22) == ["registry/quay.io: rejected in team-01", "registry/quay.io: missing in team-00"]


def test_after_days_without_a_worker_everything_since_is_told(cluster: Cluster) -> None:
    route()
    transition(cluster, "team-01", WELL, REJECTED, minute=60)
    plan(now=at(3 * 1440))
    assert titles(3 * 1440 + 2) == ["registry/quay.io: rejected in team-01"]


def test_what_happens_after_the_clock_was_set_back_is_told_and_what_was_told_is_not_told_again(
    cluster: Cluster,
) -> None:
    route()
    transition(cluster, "team-01", WELL, REJECTED, minute=0)
    plan(now=at(0.1))
    told = ["registry/quay.io: rejected in team-01"]
    assert titles(2) == told
    plan(now=at(1440))
    transition(cluster, "team-02", WELL, MISSING, minute=4)
    plan(now=at(5))
    assert titles(7) == [*told, "registry/quay.io: missing in team-02"]


def test_a_backlog_is_taken_in_by_batches_that_still_make_one_message(cluster: Cluster) -> None:
    route()
    scan(cluster, dict.fromkeys(TEAMS, REJECTED), minute=0)
    assert [plan(now=at(0.1), batch=5) for _ in range(3)] == [5, 5, 4]
    assert titles(2) == ["registry/quay.io: rejected in 14 Namespaces"]


def test_planned_transitions_are_forgotten_once_nothing_late_can_be_among_them(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert PlannedTransition.objects.count() == 1
    plan(now=at(0) + 3 * planning.LATEST)
    assert PlannedTransition.objects.count() == 0
    plan(now=at(0) + 3 * planning.LATEST)
    assert AlertItem.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ["team-a", "team-b"]),
        ({"label_selector": "tier=prod"}, ["team-a"]),
        ({"label_selector": "tier!=prod"}, ["team-b"]),
        ({"owner": "Ada@*"}, ["team-a"]),
        ({"owner": "nobody"}, []),
        ({"credential": "registry/*"}, ["team-a", "team-b"]),
        ({"credential": "tls"}, []),
        ({"severities": ["warning"]}, []),
        ({"is_enabled": False}, []),
        ({"owner": "*@example.com", "label_selector": "tier in (prod, test)"}, ["team-a"]),
    ],
    ids=str,
)
def test_a_route_is_told_only_of_what_it_asks_for(fields: dict[str, Any], told: list[str]) -> None:
    cluster = Cluster.objects.create(name="prod-eu")
    labels = {"team-a": {"tier": "prod"}, "team-b": {"tier": "dev"}}
    owners = {"team-a": "ada@example.com", "team-b": "grace@example.com"}
    route(**fields)
    for minute, state in ((-10, WELL), (0, REJECTED)):
        scan(
            cluster,
            [team(name, state, labels=labels[name], owner=owners[name]) for name in labels],
            minute=minute,
        )
        plan(now=at(minute + 0.1))
    assert sorted(item.namespace.name for item in AlertItem.objects.select_related("namespace")) == told


def test_a_route_of_one_cluster_hears_of_no_other(cluster: Cluster) -> None:
    route(cluster=Cluster.objects.create(name="other"))
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert AlertItem.objects.count() == 0


def test_a_recovery_is_told_although_the_labels_no_longer_match(cluster: Cluster) -> None:
    route(label_selector="tier=prod")
    scan(cluster, [team("team-00", WELL, labels={"tier": "prod"})], minute=-1)
    scan(cluster, [team("team-00", REJECTED, labels={"tier": "prod"})], minute=0)
    plan(now=at(0.1))
    planned(2)
    scan(cluster, [team("team-00", WELL)], minute=3)
    plan(now=at(3.1))
    assert titles(5)[1:] == ["registry/quay.io: recovered in team-00"]


def test_an_expiring_credential_is_told_while_it_is_a_warning(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": "warning expiring", "team-01": "warning shadowed"}, minute=0)
    plan(now=at(0.1))
    assert titles(2) == ["registry/quay.io: expires soon in team-00"]


def acknowledge(namespace: str, *, snooze: bool = False, state: str = REJECTED) -> Acknowledgement:
    status, reason = state.split()
    return Acknowledgement.objects.create(
        namespace=Namespace.objects.get(name=namespace),
        credential=QUAY,
        is_snooze=snooze,
        status=status,
        reason=reason,
        actor="grace",
        until=at(100_000),
        created_at=at(0),
    )


def test_snoozed_cells_are_silent_and_so_is_their_end(cluster: Cluster) -> None:
    route()
    acknowledge("team-00", snooze=True)
    scan(cluster, {"team-00": REJECTED, "team-01": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert titles(2) == ["registry/quay.io: rejected in team-01"]
    scan(cluster, {"team-00": WELL}, minute=3)
    plan(now=at(3.1))
    assert len(titles(5)) == 1


def test_a_cell_that_is_acknowledged_before_its_message_is_due_is_left_out(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    acknowledge("team-00")
    assert titles(2) == []
    assert ToldCell.objects.count() == AlertMessage.objects.count() == 0
    scan(cluster, {"team-00": WELL}, minute=3)
    plan(now=at(3.1))
    assert titles(5) == [], "nobody was told of the trouble"


def test_an_acknowledged_cell_that_gets_worse_in_another_way_is_told(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": MISSING}, minute=0)
    acknowledge("team-00", state=MISSING)
    plan(now=at(0.1))
    scan(cluster, {"team-00": REJECTED}, minute=3)
    plan(now=at(3.1))
    assert titles(5) == ["registry/quay.io: rejected in team-00"]


def test_a_flapping_cell_is_told_once_and_then_how_it_ended_up(cluster: Cluster) -> None:
    route()
    for minute, state in enumerate([REJECTED, WELL, REJECTED, WELL, REJECTED, WELL, REJECTED]):
        scan(cluster, {"team-00": state}, minute=minute * 3)
        plan(now=at(minute * 3 + 0.1))
        plan(now=at(minute * 3 + 1.5))
    assert titles(60) == [
        "registry/quay.io: rejected in team-00",
        "registry/quay.io: recovered in team-00",
        "registry/quay.io: flapping in team-00",
    ]
    plan(now=at(18 + 61))
    assert titles(18 + 63)[3:] == ["registry/quay.io: rejected in team-00"]
    scan(cluster, {"team-00": WELL}, minute=200)
    plan(now=at(200.1))
    assert titles(202)[4:] == ["registry/quay.io: recovered in team-00"]


QUIET = {"quiet_from": time(12, 0), "quiet_until": time(14, 0)}


def test_quiet_hours_hold_everything_back_for_one_digest_at_their_end(cluster: Cluster) -> None:
    route(**QUIET)
    scan(cluster, {"team-00": REJECTED, "team-01": MISSING, "team-02": MISSING}, minute=0)
    plan(now=at(0.1))
    scan(cluster, {"team-02": WELL}, minute=30)
    plan(now=at(30.1))
    assert titles(119.9) == []
    (digest,) = planned(120)
    assert digest.title == "While it was quiet: 2 changes"
    assert "rejected in team-00" in digest.body
    assert "Well again by now: team-02" in digest.body
    assert AlertItem.objects.filter(message=digest).count() == 3


def test_what_is_critical_may_break_the_quiet(cluster: Cluster) -> None:
    route(**QUIET, critical_breaks_quiet=True, severities=["critical", "warning"])
    scan(cluster, {"team-00": REJECTED, "team-01": "warning shadowed"}, minute=0)
    plan(now=at(0.1))
    assert titles(2) == ["registry/quay.io: rejected in team-00"]
    assert titles(121)[1:] == ["registry/quay.io: shadowed in team-01"]


def test_when_quiet_hours_are_taken_back_what_was_held_goes_out_at_once(cluster: Cluster) -> None:
    held = route(**QUIET)
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert titles(2) == []
    AlertRoute.objects.update(quiet_from=None)
    held.end_of_waiting(now=at(3))
    assert titles(3) == ["registry/quay.io: rejected in team-00"]


def test_each_route_has_its_own_messages(cluster: Cluster) -> None:
    route("a")
    route("b", severities=["critical", "warning"])
    scan(cluster, {"team-00": REJECTED, "team-01": "warning shadowed"}, minute=0)
    plan(now=at(0.1))
    assert sorted((message.route.name, message.reason) for message in planned(2)) == [
        ("a", "rejected"),
        ("b", "rejected"),
        ("b", "shadowed"),
    ]


def test_what_is_critical_now_is_one_message_on_request_and_its_recovery_is_told(cluster: Cluster) -> None:
    scan(cluster, {"team-00": REJECTED, "team-01": MISSING, "team-02": MISSING, "team-03": REJECTED}, minute=0)
    plan(now=at(0.1))
    new = route(listens_since=at(1))
    acknowledge("team-03")
    assert send_present_trouble(new, now=at(2)) == 3
    (message,) = planned(2)
    assert message.title == "Critical now: 3 cells"
    assert "rejected in team-00" in message.body
    assert "missing in 2 Namespaces" in message.body
    scan(cluster, {"team-00": WELL}, minute=3)
    plan(now=at(3.1))
    assert titles(5)[1:] == ["registry/quay.io: recovered in team-00; still in trouble in 2"]


def test_with_nothing_critical_there_is_nothing_to_send(cluster: Cluster) -> None:
    assert send_present_trouble(route(), now=at(1)) == 0
    assert AlertMessage.objects.count() == 0


def test_of_what_is_critical_now_a_route_is_told_only_what_it_asks_for(cluster: Cluster) -> None:
    scan(cluster, {"team-00": REJECTED, "team-01": "critical expiring"}, minute=0)
    only = route(on_expiring=False)
    assert send_present_trouble(only, now=at(1)) == 1
    assert "team-00" in AlertMessage.objects.get().title


def test_what_was_seen_too_long_ago_is_not_sent_as_critical_now(cluster: Cluster) -> None:
    scan(cluster, {"team-00": REJECTED}, minute=0)
    assert send_present_trouble(route(), now=at(0) + timedelta(days=3)) == 0


def test_a_route_that_starts_anew_is_told_no_end_of_what_it_was_told_before(cluster: Cluster) -> None:
    old = route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    old.start_anew(now=at(0.5))
    scan(cluster, {"team-00": WELL}, minute=3)
    plan(now=at(3.1))
    assert titles(5) == []


def test_a_transition_is_told_once_to_a_route_whoever_tries(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    PlannedTransition.objects.all().delete()
    plan(now=at(0.2))
    assert AlertItem.objects.count() == 1
