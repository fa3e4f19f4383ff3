"""The strip of a cell and the changes of a Namespace: what changed, and nothing that was not seen."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from dashboard import history
from dashboard.history import Change, State
from scanner.models import Cluster, Credential, Namespace, Transition
from tests import factories

NOW = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WELL, MISSING, EXPIRING, NONE = (
    State("ok", "covered"), State("critical", "missing"), State("warning", "expiring"), State(""),
)  # fmt: skip
QUAY = "registry/quay.io"
URL = "/n/prod-eu/team-vision/cells/registry/quay.io/"


def told(*changes: Change, state: State = WELL, **fields: Any) -> tuple[history.Segment, ...]:
    values = {"state_since": NOW - 60 * DAY, "looking_since": NOW - 60 * DAY, "stale_since": None, "now": NOW} | fields
    return history.segments(changes, state=state, **values)


def change(days_ago: float, before: State, after: State) -> Change:
    return Change(at=NOW - days_ago * DAY, before=before, after=after)


def statuses(segments: tuple[history.Segment, ...], *, last: int = 6) -> list[str]:
    return [day.status for day in history.days(segments, now=NOW, zone=UTC)][-last:]


def test_between_two_changes_the_cell_was_what_the_first_one_made_it() -> None:
    found = told(change(4, WELL, MISSING), change(2, MISSING, WELL))

    assert [(one.state, (NOW - one.since) / DAY, (NOW - one.until) / DAY) for one in found] == [
        (WELL, 60, 4), (MISSING, 4, 2), (WELL, 2, 0),
    ]  # fmt: skip


def test_the_order_of_the_changes_does_not_matter() -> None:
    changes = [change(4, WELL, MISSING), change(2, MISSING, WELL)]

    assert told(*changes) == told(*reversed(changes))


def test_each_day_has_its_worst_status() -> None:
    found = told(change(4, WELL, MISSING), change(3.9, MISSING, EXPIRING), change(2, EXPIRING, WELL))

    assert statuses(found) == ["ok", "critical", "warning", "warning", "ok", "ok"]


def test_days_before_credboard_looked_have_no_status() -> None:
    assert statuses(told(state=MISSING, looking_since=NOW - 2 * DAY)) == ["", "", "", *["critical"] * 3]
    assert told(looking_since=None) == ()


def test_a_cell_without_changes_is_known_since_its_state_began() -> None:
    assert statuses(told(state_since=NOW - DAY)) == ["", "", "", "", "ok", "ok"]


def test_what_was_seen_too_long_ago_is_unknown_since_then() -> None:
    found = told(change(4, WELL, MISSING), state=MISSING, stale_since=NOW - 2 * DAY)

    assert found[-1].state == State("unknown", "stale")
    assert statuses(found) == ["ok", "critical", "critical", "critical", "unknown", "unknown"]


def test_a_credential_that_nothing_needed_has_no_status() -> None:
    found = told(change(3, NONE, MISSING), change(1, MISSING, NONE), state=NONE)

    days = history.days(found, now=NOW, zone=UTC)

    assert [day.status for day in days][-5:] == ["", "critical", "critical", "critical", ""]
    assert days[-1].words == "not needed"


def test_days_are_those_of_the_readers_time_zone() -> None:
    at_night = Change(at=datetime(2026, 3, 28, 23, 30, tzinfo=UTC), before=MISSING, after=WELL)

    days = history.days(told(at_night), now=NOW, zone=ZoneInfo("Europe/Berlin"))

    assert {day.day: day.status for day in days}[date(2026, 3, 29)] == "critical"


def test_the_strip_is_told_in_a_sentence() -> None:
    days = history.days(told(change(2, WELL, MISSING), state=MISSING, looking_since=NOW - 9 * DAY), now=NOW, zone=UTC)

    assert history.spoken(days) == "Of the last 30 days: 7 well, 3 critical, 20 without a status"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (WELL, MISSING, "missing, was well"),
        (MISSING, State("critical", "wrong-host"), "wrong host, was missing"),
        (NONE, MISSING, "missing, first seen then"),
        (MISSING, NONE, "not needed any more, was missing"),
    ],
)
def test_a_change_is_told_in_words(before: State, after: State, words: str) -> None:
    assert change(1, before, after).words == words


# On the pages


@pytest.fixture
def cluster(broker_up: None) -> Cluster:
    made = factories.cluster(scanned_at=timezone.now())
    factories.scan(made, started_at=timezone.now() - 60 * DAY, state="done")
    return made


@pytest.fixture
def namespace(cluster: Cluster) -> Namespace:
    return factories.namespace(cluster, owners=("grace",))


def transition(namespace: Namespace, before: str, after: str, *, days_ago: float, credential: str = QUAY) -> None:
    column, _ = Credential.objects.get_or_create(cluster=namespace.cluster, slug=credential)
    fields = {}
    for side, state in (("before", before), ("after", after)):
        fields[f"status_{side}"], _, fields[f"reason_{side}"] = state.partition(" ")
    Transition.objects.create(namespace=namespace, credential=column, at=timezone.now() - days_ago * DAY, **fields)


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.django_db
def test_the_drawer_shows_a_strip_once_something_happened(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, {"status": "ok", "reason": "covered", "since": timezone.now() - 50 * DAY})
    assert "Last 30 days" not in ada.get(URL).content.decode()

    transition(namespace, "ok covered", "critical missing", days_ago=5)
    transition(namespace, "critical missing", "ok covered", days_ago=3)

    page = ada.get(URL).content.decode()
    strip = page.partition('<div class="strip"')[2].partition("</div>")[0]
    assert 'aria-label="Of the last 30 days: 27 well, 3 critical"' in strip
    assert re.findall(r'<i class="(\w+)"', strip).count("critical") == 3
    assert "2 changes" in text(page)
    assert "missing, was well" in text(page)


@pytest.mark.django_db
def test_the_page_of_a_namespace_lists_the_newest_changes(ada: Client, namespace: Namespace) -> None:
    transition(namespace, "ok covered", "critical missing", days_ago=5)
    transition(namespace, "ok valid", "critical expired", days_ago=1, credential="tls")
    transition(namespace, "ok valid", "critical rejected", days_ago=40)

    page = text(ada.get("/n/prod-eu/team-vision/").content.decode())

    assert page.index("TLS expired, was well") < page.index("quay.io missing, was well")
    assert "rejected" not in page
