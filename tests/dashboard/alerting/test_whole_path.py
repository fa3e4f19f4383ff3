"""Scans, Transitions, the planner and the outbox, as beat and workers run them, up to a service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from dashboard.alerting.delivery import deliver
from dashboard.alerting.planning import plan
from dashboard.models import AlertItem, AlertMessage, AlertRoute, PlannedTransition
from scanner.models import Cluster, Transition
from tests.dashboard.alerting.builders import route as make_route
from tests.dashboard.alerting.builders import team
from tests.dashboard.alerting.sink import Sink
from tests.scanner.verdicts import scanned

TEAMS = [f"team-{number:02}" for number in range(14)]


@pytest.fixture(name="shared")
def _shared(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that several threads can use. SQLite's for tests is in the memory of one connection."""
    if connection.vendor == "postgresql":
        yield
        return
    in_memory = connections["default"]
    values = {**in_memory.settings_dict, "NAME": str(tmp_path / "credboard.sqlite3")}
    before = connections.settings["default"]["NAME"]
    connections.settings["default"]["NAME"] = values["NAME"]
    in_file = connections.create_connection("default")
    in_file.settings_dict = values
    connections["default"] = in_file
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        in_file.close()
        connections["default"] = in_memory
        connections.settings["default"]["NAME"] = before


def at_once(work: Callable[[], Any], number: int) -> list[BaseException]:
    """Run `work` in so many threads that start together; what they raised."""
    errors: list[BaseException] = []
    gate = threading.Barrier(number)

    def run() -> None:
        try:
            gate.wait(30)
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


@contextmanager
def rejected_everywhere(sink: Sink) -> Iterator[AlertRoute]:
    cluster = Cluster.objects.create(name="prod-eu")
    start = timezone.now() - timedelta(minutes=5)
    route = make_route(url=sink.url(), listens_since=start)
    plan(now=start)
    scanned(cluster, *(team(name) for name in TEAMS), now=start)
    scanned(cluster, *(team(name, "critical rejected") for name in TEAMS), now=start + timedelta(minutes=2))
    assert Transition.objects.count() == 14
    yield route


def test_from_the_scan_to_the_service_it_is_one_message(db: None, sink: Sink) -> None:
    with rejected_everywhere(sink) as route:
        plan(now=timezone.now() - timedelta(seconds=70))
        plan(now=timezone.now())
        assert deliver() == 1
    assert sink.titles == ["registry/quay.io: rejected in 14 Namespaces"]
    assert "team-00, team-01" in sink.messages[0]
    assert "https://credboard.example.com/" in sink.messages[0]
    assert route.told_cells.count() == 14


def test_several_dispatchers_at_once_plan_and_send_everything_once(shared: None, sink: Sink) -> None:
    with rejected_everywhere(sink):
        early = timezone.now() - timedelta(seconds=70)
        assert at_once(lambda: plan(now=early), 4) == []
        assert AlertItem.objects.count() == PlannedTransition.objects.count() == 14
        now = timezone.now()
        assert at_once(lambda: plan(now=now), 4) == []
        assert AlertMessage.objects.get().state == "pending"
        assert at_once(deliver, 4) == []
        deliver()
    assert sink.titles == ["registry/quay.io: rejected in 14 Namespaces"]
