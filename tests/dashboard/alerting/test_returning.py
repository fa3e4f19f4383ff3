"""What turned bad while somebody had seen to it is told when that ends, though no scan sees an end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from dashboard.alerting.planning import plan
from dashboard.models import Acknowledgement, AlertItem, AlertMessage, AlertRoute, ToldCell
from scanner.models import Cluster, Namespace, Transition
from tests.dashboard.alerting.builders import at, planned, route, scan, titles
from tests.dashboard.alerting.test_whole_path import _shared, at_once
from tests.scanner.verdicts import QUAY

pytestmark = pytest.mark.django_db

__all__ = ["_shared"]

WELL, REJECTED, MISSING, SHADOWED = "ok covered", "critical rejected", "critical missing", "warning shadowed"
TEAMS = [f"team-{number:02}" for number in range(14)]
TOLD = "registry/quay.io: rejected in team-00"


def started(interval: int = 86_400) -> Cluster:
    """All are well, and the planner knows."""
    cluster = Cluster.objects.create(name="prod-eu", scan_interval=interval)
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=-10)
    plan(now=at(-10))
    return cluster


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return started()


def seen_to(
    namespace: str = "team-00", *, state: str = WELL, since: float = -1, until: float = 60, snooze: bool = True
) -> Acknowledgement:
    """Snoozed; with `snooze` False, acknowledged in `state`."""
    status, reason = state.split()
    return Acknowledgement.objects.create(
        namespace=Namespace.objects.get(name=namespace),
        credential=QUAY,
        is_snooze=snooze,
        status=status,
        reason=reason,
        actor="grace",
        created_at=at(since),
        until=at(until),
    )


def rejected_while_snoozed(cluster: Cluster, *namespaces: str, minute: float = 0) -> None:
    for name in namespaces or ("team-00",):
        seen_to(name)
    scan(cluster, dict.fromkeys(namespaces or ("team-00",), REJECTED), minute=minute)
    plan(now=at(minute + 0.1))
    assert titles(minute + 2) == []


def test_what_turned_critical_while_it_was_snoozed_is_told_when_the_snooze_ends(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    assert titles(59.9) == []
    plan(now=at(60))
    (message,) = planned(61.1)
    assert message.title == TOLD
    assert "Critical since 12:00 UTC" in message.body, "since when it is so, not since when it may be told"


def test_what_was_acknowledged_before_anybody_was_told_is_told_when_that_ends(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED}, minute=0)
    plan(now=at(0.1))
    seen_to(state=REJECTED, since=0.5, snooze=False)
    assert titles(2) == []
    plan(now=at(60))
    assert titles(62) == [TOLD]


def test_what_a_person_ends_is_told_at_once(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    assert Acknowledgement.objects.end(Acknowledgement.objects.get().pk, actor="ada", now=at(5))
    plan(now=at(5.1))
    assert titles(7) == [TOLD]
    assert titles(62) == [TOLD], "its date is no second end"


def test_what_comes_back_at_one_time_is_one_message_and_its_recovery_is_told(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster, *TEAMS)
    plan(now=at(60))
    assert titles(62) == ["registry/quay.io: rejected in 14 Namespaces"]
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=70)
    plan(now=at(70.1))
    assert titles(72)[1:] == ["registry/quay.io: recovered in 14 Namespaces"]


def test_an_end_is_told_once_however_often_the_planner_runs(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    for minute in (60, 60, 60.5, 62, 62, 63):
        plan(now=at(minute))
    Acknowledgement.objects.update(is_end_planned=False)
    plan(now=at(64))
    assert AlertMessage.objects.count() == AlertItem.objects.count() == 1


def test_the_database_refuses_to_tell_an_end_twice_to_a_route(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    plan(now=at(60))
    item = AlertItem.objects.get()
    item.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        item.save()


def test_several_planners_at_once_tell_an_end_once(shared: None) -> None:
    cluster = started()
    route()
    rejected_while_snoozed(cluster, *TEAMS)
    assert at_once(lambda: plan(now=at(60)), 4) == []
    assert AlertItem.objects.count() == 14
    assert titles(62) == ["registry/quay.io: rejected in 14 Namespaces"]


@pytest.mark.parametrize("state", [WELL, SHADOWED, "unknown not-checked"])
def test_a_cell_in_no_state_that_the_route_asks_for_comes_back_without_a_word(cluster: Cluster, state: str) -> None:
    route()
    rejected_while_snoozed(cluster)
    scan(cluster, {"team-00": state}, minute=30)
    plan(now=at(60))
    assert titles(62) == []


def test_what_was_told_before_it_was_snoozed_is_not_told_again_but_what_it_became_is(cluster: Cluster) -> None:
    route()
    scan(cluster, {"team-00": REJECTED, "team-01": REJECTED}, minute=0)
    plan(now=at(0.1))
    assert len(planned(2)) == 1
    for name in TEAMS[:2]:
        seen_to(name, since=3)
    scan(cluster, {"team-01": MISSING}, minute=5)
    plan(now=at(5.1))
    plan(now=at(60))
    assert titles(62)[1:] == ["registry/quay.io: missing in team-01"]


def test_an_acknowledgement_that_ended_because_the_cell_changed_has_no_second_end(cluster: Cluster) -> None:
    scan(cluster, {"team-00": MISSING}, minute=0)
    seen_to(state=MISSING, since=1, snooze=False)
    scan(cluster, {"team-00": REJECTED}, minute=5)
    plan(now=at(5.1))
    route(listens_since=at(10))
    plan(now=at(60))
    assert titles(62) == [], "a change from before the route was made"


def test_a_change_and_an_end_that_are_planned_together_are_told_once(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    scan(cluster, {"team-00": MISSING}, minute=60.5)
    plan(now=at(61))
    assert titles(63) == ["registry/quay.io: missing in team-00"]


def test_one_that_was_replaced_gives_nothing_back_until_the_last_one_ends(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    Acknowledgement.objects.close({(Namespace.objects.get(name="team-00").pk, QUAY)}, actor="ada", now=at(5))
    seen_to(since=5, until=120)
    plan(now=at(60))
    assert titles(62) == []
    plan(now=at(120))
    assert titles(122) == [TOLD]


def test_a_stale_cell_comes_back_when_it_is_seen_again() -> None:
    cluster = started(interval=60)
    route()
    rejected_while_snoozed(cluster)
    plan(now=at(60))
    assert titles(62) == []
    scan(cluster, {"team-00": REJECTED}, minute=100)
    assert Transition.objects.count() == 1
    plan(now=at(100.1))
    assert titles(101.9) == [TOLD]


def test_the_end_of_one_in_a_namespace_that_is_gone_waits_for_nobody(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster)
    Namespace.objects.filter(name="team-00").update(gone_at=at(30))
    plan(now=at(60))
    assert Acknowledgement.objects.get().is_end_planned
    assert titles(62) == []


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 1),
        ({"listens_since": at(61)}, 0),
        ({"credential": "tls"}, 0),
        ({"owner": "nobody"}, 0),
        ({"is_enabled": False}, 0),
    ],
    ids=str,
)
def test_a_route_is_told_only_of_ends_that_are_its_business(
    cluster: Cluster, fields: dict[str, Any], number: int
) -> None:
    route(**fields)
    rejected_while_snoozed(cluster)
    plan(now=at(62))
    assert len(planned(64)) == number
    AlertRoute.objects.update(is_enabled=True)
    plan(now=at(65))
    assert len(planned(67)) == number, "an end is looked at once"


def test_each_route_is_told_of_an_end(cluster: Cluster) -> None:
    route("a")
    route("b")
    rejected_while_snoozed(cluster)
    plan(now=at(60))
    assert titles(62) == [TOLD, TOLD]


def test_a_cell_that_kept_changing_while_it_was_snoozed_comes_back_as_flapping(cluster: Cluster) -> None:
    route()
    seen_to(until=10)
    for minute, state in enumerate([REJECTED, WELL, REJECTED]):
        scan(cluster, {"team-00": state}, minute=minute)
        plan(now=at(minute + 0.1))
    plan(now=at(10))
    assert titles(12) == ["registry/quay.io: flapping in team-00"]
    plan(now=at(63))
    assert titles(65)[1:] == [TOLD], "an hour after it changed, not after the snooze"


def test_how_a_flapping_cell_ended_up_in_silence_is_told_after_it(cluster: Cluster) -> None:
    route()
    for minute, state in enumerate([REJECTED, WELL, REJECTED]):
        scan(cluster, {"team-00": state}, minute=minute * 3)
        plan(now=at(minute * 3 + 0.1))
        plan(now=at(minute * 3 + 1.5))
    before = len(planned(9))
    seen_to(since=10, until=200)
    scan(cluster, {"team-00": MISSING}, minute=100)
    plan(now=at(100.1))
    plan(now=at(170))
    assert len(planned(172)) == before
    plan(now=at(200))
    assert titles(202)[before:] == ["registry/quay.io: missing in team-00"]
    assert not ToldCell.objects.get().is_flapping


def test_a_backlog_of_ends_is_taken_in_by_batches_after_all_changes(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster, *TEAMS)
    scan(cluster, dict.fromkeys(TEAMS[:3], MISSING), minute=59)
    assert [plan(now=at(60), batch=5) for _ in range(4)] == [5, 5, 5, 2]
    assert titles(62) == ["registry/quay.io: missing in 3 Namespaces", "registry/quay.io: rejected in 11 Namespaces"]


def test_the_number_of_queries_does_not_grow_with_the_ends(cluster: Cluster) -> None:
    route()
    rejected_while_snoozed(cluster, *TEAMS)
    Acknowledgement.objects.exclude(namespace__name="team-00").update(until=at(90))
    counts = []
    for minute in (60, 90):
        with CaptureQueriesContext(connection) as queries:
            plan(now=at(minute) + timedelta(seconds=1))
        counts.append(len(queries))
        planned(minute + 2)
    assert counts[0] == counts[1]
    assert AlertItem.objects.count() == 14
