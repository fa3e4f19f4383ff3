"""From the outbox to a service on loopback, and what happens when that fails."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard import tasks
from dashboard.alerting import delivery
from dashboard.alerting.delivery import deliver
from dashboard.alerting.sending import NotSent
from dashboard.models import AlertMessage, AlertPlan, AlertRoute
from scanner.models import Cluster
from tests.dashboard.alerting.builders import route as make_route
from tests.dashboard.alerting.sink import TOKEN, Sink

pytestmark = pytest.mark.django_db


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return Cluster.objects.create(name="prod-eu")


@pytest.fixture(name="route")
def _route(sink: Sink) -> AlertRoute:
    return make_route(url=sink.url())


def pending(to: AlertRoute, cluster: Cluster, title: str = "quay.io: rejected", **fields: Any) -> AlertMessage:
    now = timezone.now()
    values = {"credential": "registry/quay.io", "news": "trouble", "body": "In team-a", "severity": "critical"} | fields
    return AlertMessage.objects.create(
        route=to, cluster=cluster, title=title, due_at=now, **{"sealed_at": now, "state": "pending", **values}
    )


def due_now(route: AlertRoute) -> None:
    AlertRoute.objects.filter(pk=route.pk).update(next_try_at=timezone.now())


def test_what_waits_is_sent_in_the_order_in_which_it_happened(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    for title in ("first", "second", "third"):
        pending(route, cluster, title)
    assert deliver() == 3
    assert sink.titles == ["first", "second", "third"]
    route.refresh_from_db()
    assert (route.failing_since, route.last_error, route.lease_until) == (None, "", None)
    assert route.last_sent_at is not None
    assert {message.state for message in AlertMessage.objects.all()} == {"sent"}


def test_what_was_sent_is_not_sent_again(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    pending(route, cluster)
    assert [deliver(), deliver()] == [1, 0]
    assert len(sink.requests) == 1


def test_a_service_that_fails_is_shown_and_tried_again_after_a_pause_until_it_works(
    route: AlertRoute, cluster: Cluster, sink: Sink
) -> None:
    sink.answers = [500, 500]
    pending(route, cluster)
    waits = []
    for _ in range(2):
        due_now(route)
        assert deliver() == 0
        route.refresh_from_db()
        assert route.next_try_at is not None
        waits.append(route.next_try_at - timezone.now())
    assert route.failing_since is not None
    assert "500" in route.last_error
    assert timedelta(seconds=20) < waits[0] < timedelta(seconds=31) < waits[1] < timedelta(seconds=61)
    assert deliver() == 0, "its time has not come"
    due_now(route)
    assert deliver() == 1
    assert len(sink.requests) == 3
    route.refresh_from_db()
    assert (route.failing_since, route.failures, route.next_try_at, route.last_error) == (None, 0, None, "")


def test_the_pause_grows_to_a_quarter_of_an_hour_and_no_further(route: AlertRoute) -> None:
    now = timezone.now()
    for _ in range(40):
        route.went_wrong("no", now=now)
    assert route.next_try_at == now + timedelta(minutes=15)
    assert route.failing_since == now


def test_a_route_that_fails_holds_no_other_up(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    dead = make_route("dead", url="json://127.0.0.1:1/")
    for to in (dead, route):
        pending(to, cluster)
    assert deliver() == 1
    assert len(sink.requests) == 1


def test_a_service_that_never_answers_costs_one_time_out(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    sink.answers = [None]
    pending(route, cluster)
    assert deliver() == 0
    route.refresh_from_db()
    assert route.failing_since is not None
    assert AlertPlan.objects.get().sending_until is None


def test_a_route_that_is_off_gets_nothing(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    pending(route, cluster)
    AlertRoute.objects.update(is_enabled=False)
    assert deliver() == 0
    assert sink.requests == []


def test_an_address_that_cannot_be_read_is_shown_as_that(
    route: AlertRoute, cluster: Cluster, settings: Settings
) -> None:
    pending(route, cluster)
    settings.SECRET_KEY = "another"
    assert deliver() == 0
    route.refresh_from_db()
    assert "cannot be read" in route.last_error
    assert "CREDBOARD_ENCRYPTION_KEYS" in route.last_error


def test_a_key_that_is_none_is_shown_on_the_route(route: AlertRoute, cluster: Cluster, settings: Settings) -> None:
    pending(route, cluster)
    settings.ENCRYPTION_KEYS = ("short",)
    assert deliver() == 0
    route.refresh_from_db()
    assert "key 1 is not 32 bytes" in route.last_error


def test_a_message_is_given_up_after_a_day(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    sink.answers = [500, 500]
    pending(route, cluster, "old", sealed_at=timezone.now() - timedelta(hours=25))
    fresh = pending(route, cluster, "fresh")
    for _ in range(3):
        due_now(route)
        deliver()
    assert {one.title: one.state for one in AlertMessage.objects.all()} == {"old": "given up", "fresh": "sent"}
    fresh.refresh_from_db()
    assert sink.titles == ["old", "fresh", "fresh"]


def test_a_message_that_fails_again_and_again_lets_the_others_pass(
    route: AlertRoute, cluster: Cluster, sink: Sink
) -> None:
    pending(route, cluster, "refused", attempts=AlertMessage.STUBBORN)
    pending(route, cluster, "fine")
    deliver()
    assert sink.titles == ["fine", "refused"]


def test_while_one_worker_sends_no_other_does(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    pending(route, cluster)
    AlertPlan.ensure(now=timezone.now())
    assert AlertPlan.claim_sending(now=timezone.now())
    assert deliver() == 0
    AlertPlan.objects.update(sending_until=timezone.now() - timedelta(seconds=1))
    assert deliver() == 1, "a worker that died loses its claim"


def test_a_claimed_route_is_left_alone_until_its_lease_ends(route: AlertRoute, cluster: Cluster, sink: Sink) -> None:
    pending(route, cluster)
    other = AlertRoute.objects.get(pk=route.pk)
    assert route.claim(now=timezone.now())
    assert not other.claim(now=timezone.now())
    assert deliver() == 0
    AlertRoute.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliver() == 1


def test_what_a_killed_worker_had_sent_but_not_noted_is_sent_again(
    route: AlertRoute, cluster: Cluster, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*arguments: object) -> None:
        raise Killed

    pending(route, cluster)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_note", killed)
        with pytest.raises(Killed):
            deliver()
    assert deliver() == 1
    assert len(sink.requests) == 2


def test_a_route_that_is_deleted_while_it_is_sent_for_is_no_error(
    route: AlertRoute, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object, **more: object) -> None:
        raise NotSent("refused")

    pending(route, cluster)
    monkeypatch.setattr(delivery, "send", gone)
    note = delivery._note

    def delete_first(*arguments: Any) -> None:
        AlertRoute.objects.all().delete()
        note(*arguments)

    monkeypatch.setattr(delivery, "_note", delete_first)
    assert deliver() == 0
    assert AlertRoute.objects.count() == 0


def test_nothing_of_an_address_is_in_the_database_or_the_log(
    route: AlertRoute, cluster: Cluster, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = [500]
    pending(route, cluster)
    with caplog.at_level(logging.DEBUG):
        deliver()
        due_now(route)
        deliver()
    assert len(sink.requests) == 2
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += [str([bytes(v) if isinstance(v, memoryview) else v for v in row]) for row in cursor.fetchall()]
    assert any("500" in row or "platform" in row for row in rows)
    for text in (*rows, caplog.text):
        assert TOKEN not in text


def test_the_tasks_plan_and_hand_the_sending_over(
    route: AlertRoute, cluster: Cluster, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    monkeypatch.setattr(tasks.deliver_alerts, "apply_async", lambda **options: sent.append(options))
    tasks.dispatch_alerts()
    assert sent == []
    pending(route, cluster)
    tasks.dispatch_alerts()
    assert len(sent) == 1
    assert sink.requests == []
    tasks.deliver_alerts()
    assert sink.titles == ["quay.io: rejected"]
