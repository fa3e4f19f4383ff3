"""A cluster is scanned by one at a time, which tells how far it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from scanner import scan as scanning
from scanner.models import Cluster, Namespace, Scan
from scanner.scan import scan_cluster
from tests.scanner.scan.builders import scan_all

pytestmark = pytest.mark.django_db


@pytest.fixture(name="told")
def _told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """What every row of progress said."""
    told: list[tuple[int, int | None]] = []
    save = scanning._save_running

    def spy(scan: Scan) -> None:
        told.append((scan.namespaces_done, scan.namespaces_total))
        save(scan)

    monkeypatch.setattr(scanning, "_save_running", spy)
    return told


def test_counts_move_while_namespaces_are_read(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int | None]]
) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    scan_all(cluster)
    assert {1, 2, 3, 4, 5, 6, 7} <= {done for done, _ in told}, "the four of the system are read as well"
    assert told[-1] == (3, 3)


def test_progress_is_written_twice_a_second_at_most(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int | None]]
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(scanning.time, "monotonic", lambda: next(ticks) * 0.125)
    scan_all(cluster)
    assert len(told) <= next(ticks) * 0.125 * 2 + 2


def test_a_cluster_is_scanned_by_one_at_a_time_and_the_other_tries_again(cluster: Cluster) -> None:
    now = timezone.now()
    other = Cluster.objects.get()
    assert other.take_lease(now=now, seconds=30)
    Cluster.objects.update(next_scan_at=now + timedelta(hours=1))
    assert scan_cluster(cluster) is None
    assert Scan.objects.count() == 0
    cluster.refresh_from_db()
    assert cluster.next_scan_at == cluster.lease_until == now + timedelta(seconds=30)


def test_a_scan_whose_worker_died_is_taken_over_and_said_to_be_interrupted(cluster: Cluster) -> None:
    began = timezone.now() - timedelta(minutes=10)
    dead = Scan.objects.create(cluster=cluster, started_at=began)
    dead_too = Scan.objects.create(cluster=cluster, namespace="team-a", started_at=began)
    assert cluster.take_lease(now=began, seconds=120)
    assert scan_all(Cluster.objects.get()).state == "done"
    for one in (dead, dead_too):
        one.refresh_from_db()
        assert (one.state, one.error_kind, bool(one.finished_at)) == ("failed", "Interrupted", True)


def test_after_the_clock_was_set_back_a_scan_of_the_time_to_come_is_not_the_newest(cluster: Cluster) -> None:
    ahead = timezone.now() + timedelta(hours=2)
    Scan.objects.create(cluster=cluster, started_at=ahead, state="done")
    cluster.take_lease(now=ahead, seconds=120)
    scan = scan_all(Cluster.objects.get())
    assert Scan.objects.newest_and_last_good(cluster) == [scan]
    assert not Scan.objects.filter(started_at__gt=timezone.now()).exists()


def test_a_scan_that_was_taken_over_stops_and_leaves_the_new_one_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    later = timezone.now() + timedelta(hours=1)
    judge = scanning.judge_all

    def judge_slowly(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, one in enumerate(judge(*args, **kwargs)):
            if number == 1:
                Cluster.objects.update(lease_until=later)
                Scan.objects.interrupt(cluster, now=timezone.now(), silent_since=timezone.now())
            yield one

    monkeypatch.setattr(scanning, "judge_all", judge_slowly)
    scan = scan_all(cluster)
    assert (scan.state, scan.error_kind) == ("failed", "Interrupted")
    assert Cluster.objects.get().lease_until == later
    assert Namespace.objects.count() == 0, "its batch was not stored"


def test_the_lease_is_kept_while_a_scan_reads(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "TELL_EVERY", 0)
    leases = []
    save = scanning._save_running

    def spy(scan: Scan) -> None:
        leases.append(Cluster.objects.get().lease_until)
        save(scan)

    monkeypatch.setattr(scanning, "_save_running", spy)
    scan_all(cluster)
    assert len(set(leases)) > 4
    assert leases == sorted(leases)
