"""The matrix page at size: server time, queries and bytes beside their bounds, from a database filled with rows.

On DATABASE_URL, which must be empty, else on SQLite in CREDBOARD_DATA_DIR. `cpu` is what this process worked for a
page, however busy the machine is: with SQLite that is the database as well.
"""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.test import Client

    from scanner.models import Cluster, Credential, Namespace

NAMESPACES, CREDENTIALS, REQUESTS = 10_000, 20, 30
MOST_MILLISECONDS, MOST_QUERIES, MOST_KILOBYTES = 100, 8, 150
#: How many Namespaces each person sees; None for an operator.
PEOPLE = {"operator": None, "owner of 500": 500, "owner of 3": 3}
COLUMN = "registry/registry-7.example.com"
PAGES = {
    "first page": "/",
    "by text": "/?q=team-07",
    "by status": "/?status=critical",
    "by credential": f"/?credential={COLUMN}",
    "by reason": "/?reason=missing",
    "page 100": "/?page=100",
}
STALE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Milliseconds, queries and kilobytes (compressed) of one page."""

    p95: float
    median: float
    cpu: float
    queries: int
    kilobytes: float

    @property
    def is_good(self) -> bool:
        return self.p95 <= MOST_MILLISECONDS and self.queries <= MOST_QUERIES and self.kilobytes <= MOST_KILOBYTES


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    now = timezone.now()
    cluster = fill(now=now)
    analyse()
    print(f"\nMatrix page, {NAMESPACES:,} Namespaces × {CREDENTIALS} credentials, {connection.vendor}")
    print(f"  bounds: p95 {MOST_MILLISECONDS} ms, {MOST_QUERIES} queries, {MOST_KILOBYTES} kB compressed")
    measure("none stale")
    make_stale(cluster, now=now)
    measure(f"{STALE} stale")


def fill(*, now: datetime) -> Cluster:
    """A cluster where one Namespace in five has a problem, with an owner each, and two weeks of scans."""
    from django.contrib.auth.models import Group, User

    from scanner.check import Status, rank, worst
    from scanner.models import Cell, Cluster, Credential, Namespace, NamespaceOwner, Scan

    cluster = Cluster.objects.create(name="bench", next_scan_at=now + timedelta(hours=1), scan_interval=86_400)
    slugs = [f"registry/registry-{n}.example.com" for n in range(CREDENTIALS)]
    columns = Credential.objects.bulk_create(Credential(cluster=cluster, slug=slug) for slug in slugs)
    namespaces = []
    for row in range(NAMESPACES):
        statuses = [status_of(row, place) for place in range(CREDENTIALS)]
        status = worst(statuses)
        namespaces.append(
            Namespace(
                cluster=cluster,
                name=f"team-{row:05}",
                labels={"app.kubernetes.io/part-of": "kubeflow-profile", "team": f"t{row % 50}"},
                status=status,
                rank=rank(status),
                reason=REASONS[status],
                critical_cells=statuses.count(Status.CRITICAL),
                pull_secrets={f"pull-{n}": [slugs[n].partition("/")[2]] for n in range(5)},
                service_accounts=["default", "default-editor", "default-viewer"],
                unreadable={"pods": "forbidden"} if row % 200 == 0 else {},
                digest="0" * 64,
                scanned_at=now,
            )
        )
    Namespace.objects.bulk_create(namespaces, batch_size=500)
    Cell.objects.bulk_create(cells(namespaces, columns, now=now), batch_size=500)

    NamespaceOwner.objects.bulk_create(
        (
            NamespaceOwner(namespace=namespace, kind="user", name=f"person-{row}@example.com", source="profile")
            for row, namespace in enumerate(namespaces)
        ),
        batch_size=500,
    )
    for name, size in PEOPLE.items():
        person = User.objects.create_user(name, is_staff=size is None)
        if size is not None:
            group = Group.objects.create(name=f"group of {size}")
            person.groups.add(group)
            spread = namespaces[:: NAMESPACES // size][:size]
            NamespaceOwner.objects.bulk_create(
                NamespaceOwner(namespace=namespace, kind="group", name=group.name, source="rolebinding")
                for namespace in spread
            )
    Scan.objects.bulk_create(
        (
            Scan(cluster=cluster, state="done", started_at=now - timedelta(minutes=n), finished_at=now, critical=n % 40)
            for n in range(14 * 24 * 60)
        ),
        batch_size=1_000,
    )
    return cluster


REASONS = {"ok": "covered", "warning": "expiring", "critical": "missing", "unknown": "unreachable"}


def status_of(row: int, place: int) -> Any:
    from scanner.check import Status

    if row % 5 or (row // 5 + place) % 7:
        return Status.OK
    return (Status.WARNING, Status.CRITICAL, Status.UNKNOWN)[(row // 5 + place) % 3]


def cells(namespaces: list[Namespace], columns: list[Credential], *, now: datetime) -> Iterator[Any]:
    """As scans leave them, with a chain for the drawer."""
    from scanner.check import rank
    from scanner.models import Cell

    for row, namespace in enumerate(namespaces):
        for place, column in enumerate(columns):
            status = status_of(row, place)
            step = {"step": "secret", "state": "ok", "title": f"pull-{place}", "note": "of ServiceAccount default"}
            yield Cell(
                namespace=namespace,
                credential=column,
                status=status,
                rank=rank(status),
                reason=REASONS[status],
                since=now,
                expires_at=now + timedelta(days=row % 90) if place % 3 == 0 else None,
                pod_count=row % 12,
                details={"chain": [step] * 5, "pods": []},
            )


def make_stale(cluster: Cluster, *, now: datetime) -> None:
    """The first Namespaces were seen too long ago."""
    names = [f"team-{row:05}" for row in range(STALE)]
    cluster.namespaces.filter(name__in=names).update(scanned_at=now - timedelta(days=3))


def analyse() -> None:
    """What a scan does on SQLite, and autovacuum within minutes on PostgreSQL."""
    from django.db import connection

    from scanner.models import refresh_statistics

    refresh_statistics()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")


def measure(state: str) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    for name in PEOPLE:
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(User.objects.get(username=name))
        print(f"  {name}, {state}")
        for label, url in PAGES.items():
            show(label, figures(client, url))


def figures(client: Client, url: str) -> Figures:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        body = client.get(url).content
        asked = len(queries)  # now: the next request forgets them
    walls, cpus = zip(*(timed(client, url) for _ in range(REQUESTS)), strict=True)
    return Figures(
        p95=sorted(walls)[int(0.95 * (REQUESTS - 1))],
        median=statistics.median(walls),
        cpu=statistics.median(cpus),
        queries=asked,
        kilobytes=len(gzip.compress(body, 6)) / 1000,
    )


def timed(client: Client, url: str) -> tuple[float, float]:
    """Milliseconds on the wall and of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    response = client.get(url)
    if response.status_code != 200:
        raise SystemExit(f"{url} answered {response.status_code}")
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def show(label: str, found: Figures) -> None:
    print(
        f"    {label:14} p95 {found.p95:5.0f} ms, median {found.median:4.0f} ms, cpu {found.cpu:4.0f} ms,"
        f" {found.queries:2} queries, {found.kilobytes:4.0f} kB{'' if found.is_good else '   over'}"
    )


if __name__ == "__main__":
    main()
