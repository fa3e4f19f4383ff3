"""`/metrics` at the size of tests/bench/pages.py, beside its bound: from an empty DATABASE_URL, else SQLite."""

from __future__ import annotations

import statistics

from tests.bench import pages

MOST_MILLISECONDS, REQUESTS = 500, 10


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    settings.METRICS_TOKEN = "a token for the benchmark"
    now = timezone.now()
    cluster = pages.fill(now=now)
    pages.analyse()
    print(f"\n/metrics, {pages.NAMESPACES:,} Namespaces × {pages.CREDENTIALS} credentials, {connection.vendor}")
    print(f"  bound: {MOST_MILLISECONDS} ms")
    client = Client(headers={"host": "127.0.0.1", "authorization": f"Bearer {settings.METRICS_TOKEN}"})
    show("none stale", client)
    pages.make_stale(cluster, now=now)
    show(f"{pages.STALE} stale", client)


def show(state: str, client: object) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    assert isinstance(client, Client)
    with CaptureQueriesContext(connection) as queries:
        body = client.get("/metrics").content
        asked = len(queries)
    walls, cpus = zip(*(pages.timed(client, "/metrics") for _ in range(REQUESTS)), strict=True)
    worst = max(walls)
    series = sum(1 for line in body.splitlines() if not line.startswith(b"#"))
    print(
        f"    {state:14} most {worst:5.0f} ms, median {statistics.median(walls):4.0f} ms, "
        f"cpu {statistics.median(cpus):4.0f} ms, {asked} queries, {series:,} series, {len(body) / 1000:,.0f} kB"
        f"{'' if worst <= MOST_MILLISECONDS else '   over'}"
    )


if __name__ == "__main__":
    main()
