"""Beat and a worker as they are deployed, up to a service."""

from __future__ import annotations

from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.models import AlertMessage, AlertRoute
from scanner.models import Cluster
from tests.dashboard.alerting.builders import route as make_route
from tests.dashboard.alerting.sink import Sink
from tests.scanner.test_celery_for_real import (  # noqa: F401 (fixtures)
    Installation,
    _database,
    _installation,
    wait_for,
)


def test_beat_and_a_worker_send_what_waits_and_note_what_fails(
    database: str, installation: Installation, sink: Sink, settings: Settings
) -> None:
    # The key of the processes of `installation`, or they could not decrypt the address.
    settings.SECRET_KEY = "for one test and for every process of it, fifty letters"
    cluster = Cluster.objects.create(name="prod-eu", next_scan_at=None)
    now = timezone.now()
    for name, url in (("good", sink.url()), ("bad", "json://127.0.0.1:1/")):
        AlertMessage.objects.create(
            route=make_route(name, url=url),
            cluster=cluster,
            credential="registry/quay.io",
            news="trouble",
            state="pending",
            due_at=now,
            sealed_at=now,
            title=f"{name}: rejected",
        )
    AlertMessage.objects.update(body="In team-a", severity="critical")

    installation.beat()
    installation.worker()

    wait_for(lambda: AlertRoute.objects.get(name="good").last_sent_at)
    wait_for(lambda: AlertRoute.objects.get(name="bad").failing_since)
    assert sink.titles == ["good: rejected"]
