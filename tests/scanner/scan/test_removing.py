"""A cluster is removed while scans of it run."""

from __future__ import annotations

import itertools
import logging
import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections
from django.utils import timezone

from scanner import scan, tasks
from scanner.models import AuditEntry, Cluster, Namespace, Scan
from scanner.recording import record
from scanner.scan import removing
from scanner.scan.removing import remove_cluster
from tests import factories


def note() -> None:
    AuditEntry.objects.create(actor="ada", action="remove-cluster", outcome="done")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["record", "mark_gone", "note_access"])
def test_a_scan_whose_cluster_goes_meanwhile_ends_without_noise(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    then = getattr(scan, step)

    def someone_removes_it(*arguments: Any, **named: Any) -> Any:
        remove_cluster(Cluster.objects.get(), also=note)
        return then(*arguments, **named)

    monkeypatch.setattr(scan, step, someone_removes_it)
    with caplog.at_level(logging.INFO):
        tasks.scan_cluster.run(cluster.pk)

    assert not any(model.objects.exists() for model in (Cluster, Namespace, Scan))
    assert AuditEntry.objects.count() == 1
    assert "Traceback" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_scan_of_one_namespace_likewise(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Namespace.objects.create(cluster=cluster, name="team-a")

    def someone_removes_it(*arguments: Any, **named: Any) -> Any:
        remove_cluster(Cluster.objects.get(), also=note)
        return record(*arguments, **named)

    monkeypatch.setattr("scanner.scan.record", someone_removes_it)
    tasks.scan_namespace.run(row.pk)

    assert not any(model.objects.exists() for model in (Cluster, Namespace, Scan))


@pytest.mark.django_db
@pytest.mark.parametrize("next_scan_at", [timezone.now(), None], ids=["scanned", "put aside"])
def test_what_cannot_be_stored_of_a_cluster_that_is_there_is_a_mistake(next_scan_at: datetime | None) -> None:
    with pytest.raises(DatabaseError), removing.unless_removed(factories.cluster(next_scan_at=next_scan_at)):
        raise DatabaseError("the column is too short")


@pytest.mark.django_db(transaction=True)
def test_scans_that_store_without_end_do_not_hold_up_the_removal() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    cluster = factories.cluster()
    row = factories.namespace(cluster, "team-a", cells={"registry/quay.io": "critical missing"})
    has_begun = threading.Event()
    refused: list[str] = []

    def stores() -> None:
        """As the tasks of a cluster that is read Namespace by Namespace."""
        try:
            for number in itertools.count():
                Scan.objects.create(cluster=cluster, namespace="team-a", started_at=timezone.now())
                factories.finding(row, object=f"Secret/{number}")
                has_begun.set()
        except IntegrityError as error:
            refused.append(type(error).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=stores) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert has_begun.wait(60)
    remove_cluster(cluster, also=note)
    for thread in threads:
        thread.join(60)

    assert refused == ["IntegrityError"] * 2
    assert not any(model.objects.exists() for model in (Cluster, Namespace, Scan))
    assert AuditEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_be_removed_is_there_and_is_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = factories.cluster()
    factories.namespace(cluster, "team-a")
    tries: list[int] = []

    def meanwhile() -> None:
        note()
        tries.append(1)
        raise IntegrityError

    with pytest.raises(IntegrityError):
        remove_cluster(cluster, also=meanwhile)

    assert len(tries) == removing.TRIES
    assert Cluster.objects.get().next_scan_at is None
    assert Namespace.objects.exists()
    assert not AuditEntry.objects.exists()
