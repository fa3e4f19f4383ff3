"""Whatever changes, and whenever the planner runs: each change is told at most once, and the last word is true."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.alerting.planning import plan
from dashboard.models import (
    AlertItem,
    AlertMessage,
    AlertPlan,
    AlertRoute,
    PlannedTransition,
)
from scanner.models import Cluster, Transition
from tests.dashboard.alerting.builders import at, route, scan

pytestmark = pytest.mark.django_db

WELL, REJECTED, MISSING = "ok covered", "critical rejected", "critical missing"
TEAMS = [f"team-{number}" for number in range(3)]


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    cluster = Cluster.objects.create(name="prod-eu", scan_interval=86_400)
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=-10)
    plan(now=at(-10))
    return cluster


steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([WELL, REJECTED, MISSING, "unknown not-checked"]), st.integers(1, 50)),
    max_size=12,
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=steps, runs=st.lists(st.tuples(st.booleans(), st.integers(1, 3)), min_size=12, max_size=12))
def test_every_change_is_told_at_most_once_and_the_last_word_is_true_whenever_and_however_often_the_planner_runs(
    cluster: Cluster, history: list[tuple[int, str, int]], runs: list[tuple[bool, int]]
) -> None:
    for model in (AlertRoute, AlertPlan, PlannedTransition, Transition):
        model.objects.all().delete()
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=-5)
    Transition.objects.all().delete()
    only = route()
    minute = 0
    for (number, state, gap), (now, times) in zip(history, runs, strict=False):
        minute += gap
        scan(cluster, {TEAMS[number]: state}, minute=minute)
        for _ in range(times if now else 0):
            plan(now=at(minute + 0.1), batch=1)
    scan(cluster, dict.fromkeys(TEAMS, WELL), minute=minute + 200)
    for later in (200.1, 202, 330, 332):
        while plan(now=at(minute + later), batch=2) == 2:
            pass

    told = [item.transition for item in AlertItem.objects.all() if item.transition]
    told += [item.over_by for item in AlertItem.objects.all() if item.over_by and item.is_well]
    assert len(told) == len(set(told))
    assert only.told_cells.count() == 0, "all is well, and the route knows"
    assert not AlertMessage.objects.collecting().exists()
    assert set(PlannedTransition.objects.values_list("transition", flat=True)) <= set(
        Transition.objects.values_list("pk", flat=True)
    )
