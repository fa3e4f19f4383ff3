from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from scanner import scan as scanning
from scanner import tasks
from scanner.models import Cluster, Namespace, Scan

pytestmark = pytest.mark.django_db
Sent = list[tuple[str, int]]


@pytest.fixture(name="sent")
def _sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What would go to the broker: (task, id)."""
    sent: Sent = []

    def sender(name: str) -> Callable[..., None]:
        return lambda pk=0: sent.append((name, pk))

    for name in ("scan_cluster", "scan_namespace", "dispatch_scans"):
        function = getattr(tasks, name)
        monkeypatch.setattr(tasks, name, SimpleNamespace(delay=sender(name), run=function.run))
    return sent


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return Cluster.objects.create(name="prod-eu")


def test_what_is_due_is_sent_once(cluster: Cluster, sent: Sent) -> None:
    soon = timezone.now() + timedelta(hours=1)
    Cluster.objects.create(name="later", next_scan_at=soon, scan_interval=3_600)
    due = Namespace.objects.create(cluster=cluster, name="due", next_scan_at=timezone.now())
    Namespace.objects.create(cluster=cluster, name="not-due")
    Namespace.objects.create(cluster=cluster, name="later", next_scan_at=soon)
    for _ in range(2):
        tasks.dispatch_scans.run()
    assert sent == [("scan_cluster", cluster.pk), ("scan_namespace", due.pk)]


def test_what_another_dispatcher_claimed_meanwhile_is_not_sent(
    cluster: Cluster, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Namespace.objects.create(cluster=cluster, name="due", next_scan_at=timezone.now())
    for model in (Cluster, Namespace):
        monkeypatch.setattr(model, "claim_scan", lambda self, **_: False)
    tasks.dispatch_scans.run()
    assert sent == []


@pytest.mark.parametrize("error", [OperationalError("down"), ConnectionResetError()])
def test_what_could_not_be_sent_is_still_due(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    row = Namespace.objects.create(cluster=cluster, name="due", next_scan_at=timezone.now())

    def down(pk: int) -> None:
        raise error

    monkeypatch.setattr(tasks, "scan_cluster", SimpleNamespace(delay=down))
    monkeypatch.setattr(tasks, "scan_namespace", SimpleNamespace(delay=down))
    with pytest.raises(type(error)):
        tasks.dispatch_scans.run()
    assert cluster in Cluster.objects.due(timezone.now())
    Cluster.objects.update(next_scan_at=None)
    with pytest.raises(type(error)):
        tasks.dispatch_scans.run()
    assert row in Namespace.objects.due(timezone.now())


def test_tasks_for_what_is_gone_do_nothing(sent: Sent) -> None:
    tasks.scan_cluster.run(404)
    tasks.scan_namespace.run(404)
    assert (sent, Scan.objects.count()) == ([], 0)


@pytest.mark.parametrize(("mode", "follows"), [("cluster", []), ("namespaces", [("dispatch_scans", 0)]), (None, [])])
def test_namespaces_that_were_handed_out_are_dispatched_at_once(
    cluster: Cluster, sent: Sent, monkeypatch: pytest.MonkeyPatch, mode: str | None, follows: Any
) -> None:
    done = None if mode is None else Scan(cluster=cluster, mode=mode, started_at=timezone.now())
    monkeypatch.setattr(scanning, "scan_cluster", lambda one: done)
    tasks.scan_cluster.run(cluster.pk)
    assert sent == follows


def test_a_task_scans_the_namespace_of_its_id(cluster: Cluster, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Namespace.objects.create(cluster=cluster, name="team-a")
    scanned: list[Namespace] = []
    monkeypatch.setattr(scanning, "scan_namespace", scanned.append)
    tasks.scan_namespace.run(row.pk)
    assert scanned == [row]
