"""A person asks for a scan, whether the broker answers or not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.utils import timezone

from scanner import scan as scanning
from scanner import tasks
from scanner.models import Cluster, Namespace
from scanner.scan import request_scan
from tests.rig.process import free_port
from tests.rig.sockets import watch_sockets
from tests.rig.valkey import ValkeyServer
from tests.scanner.scan.builders import scan_all

pytestmark = pytest.mark.django_db


@pytest.fixture(name="silent_broker")
def _silent_broker() -> Iterator[str]:
    """One that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(name="refusing_broker")
def _refusing_broker() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.mark.parametrize("broker", ["refusing_broker", "silent_broker"])
def test_a_request_for_a_scan_does_not_wait_for_a_broker_that_is_down(
    request: pytest.FixtureRequest, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, settings: Any, broker: str
) -> None:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    app = Celery("test", broker=request.getfixturevalue(broker), set_as_current=False)
    app.conf.update(task_publish_retry=False, broker_transport_options=options)
    monkeypatch.setattr(scanning, "current_app", app)
    scan_all(cluster)
    row = Namespace.objects.get(name="team-a")
    asked = watch_sockets(monkeypatch)
    for ask in (lambda: request_scan(row), lambda: scanning.request_cluster_scan(cluster)):
        asked.tries.clear()
        assert ask() is False
        assert len(asked.tries) == 1
    assert asked.patience
    assert all(seconds is not None and seconds <= 1 for seconds in asked.patience), "no step of it waits longer"
    assert row in Namespace.objects.due(timezone.now()), "the scan follows all the same"
    assert cluster in Cluster.objects.due(timezone.now())


def test_a_request_for_a_scan_tells_the_workers(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, valkey: ValkeyServer
) -> None:
    app = Celery("test", broker=valkey.url, set_as_current=False)
    monkeypatch.setattr(scanning, "current_app", app)
    row = Namespace.objects.create(cluster=cluster, name="team-a")
    assert request_scan(row) is True
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=60)
        message.ack()
    assert message.headers["task"] == tasks.dispatch_scans.name
