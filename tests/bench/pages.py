"""The matrix page at size: server time, queries and bytes, from a database filled with rows."""

from __future__ import annotations

import gzip
import statistics
import time
from datetime import timedelta

NAMESPACES, CREDENTIALS, REQUESTS = 10_000, 20, 30


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _fill()
    _measure()


def _fill() -> None:
    from django.utils import timezone

    from scanner.check import Status, rank
    from scanner.models import Cell, Cluster, Credential, Namespace, Scan

    now = timezone.now()
    statuses = [Status.OK] * 18 + [Status.WARNING, Status.CRITICAL]
    cluster = Cluster.objects.create(name="bench", next_scan_at=now + timedelta(hours=1), scan_interval=86_400)
    columns = Credential.objects.bulk_create(
        Credential(cluster=cluster, slug=f"registry/registry-{n}.example.com") for n in range(CREDENTIALS)
    )
    namespaces = Namespace.objects.bulk_create(
        (
            Namespace(
                cluster=cluster, name=f"team-{n:05}", status=statuses[n % 20], rank=rank(statuses[n % 20]), scanned_at=now
            )
            for n in range(NAMESPACES)
        ),
        batch_size=500,
    )
    Cell.objects.bulk_create(
        (
            Cell(
                namespace=namespace,
                credential=column,
                status=(status := statuses[(row * 7 + place) % 20]),
                rank=rank(status),
                reason={Status.OK: "covered", Status.WARNING: "expiring", Status.CRITICAL: "missing"}[status],
                since=now,
                details={"chain": [], "pods": []},
            )
            for row, namespace in enumerate(namespaces)
            for place, column in enumerate(columns)
        ),
        batch_size=500,
    )
    Scan.objects.create(
        cluster=cluster, state="done", started_at=now, finished_at=now, namespaces_done=NAMESPACES, namespaces_total=NAMESPACES
    )


def _measure() -> None:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.create_user("bench", is_staff=True))
    print(f"\nMatrix page, {NAMESPACES:,} namespaces × {CREDENTIALS} credentials")
    for label, url in (("first page", "/"), ("filtered by text", "/?q=team-07"), ("page 100", "/?page=100")):
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        times = sorted(_time(client, url) for _ in range(REQUESTS))
        size = len(gzip.compress(response.content, 6)) / 1000
        p95 = times[int(0.95 * (REQUESTS - 1))] * 1000
        print(
            f"  {label:18} p95 {p95:4.0f} ms (≤ 100), median {statistics.median(times) * 1000:4.0f} ms, "
            f"{len(queries)} queries (≤ 8), {size:.0f} kB compressed (≤ 150)"
        )


def _time(client: object, url: str) -> float:
    began = time.perf_counter()
    response = client.get(url)  # type: ignore[attr-defined]
    assert response.status_code == 200, response.status_code
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
