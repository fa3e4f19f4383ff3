"""The API at size: server time, queries and bytes of its pages beside the matrix page, from a filled database.

As `tests/bench/pages.py`, whose rows these are, with a finding for each cell that is not well.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.bench.pages import CREDENTIALS, NAMESPACES, PEOPLE, analyse, figures, fill

if TYPE_CHECKING:
    from django.test import Client

    from scanner.models import Cluster

#: Milliseconds at the 95th percentile, for a page of 100 items (what `limit` is unless one says).
MOST_MILLISECONDS, MOST_QUERIES = 100, 8
COLUMN = "registry/registry-7.example.com"
PAGES = {
    "namespaces": "/api/v1/namespaces",
    "by status": "/api/v1/namespaces?status=critical",
    "by text": "/api/v1/namespaces?q=team-07",
    "by credential": f"/api/v1/namespaces?credential={COLUMN}&status=critical",
    "by reason": "/api/v1/namespaces?reason=missing",
    "500 namespaces": "/api/v1/namespaces?limit=500",
    "one namespace": "/api/v1/namespaces/bench/team-05000",
    "cells": "/api/v1/cells",
    "critical cells": "/api/v1/cells?status=critical",
    "unknown cells": "/api/v1/cells?status=unknown",
    "cells of a column": f"/api/v1/cells?credential={COLUMN}&status=critical",
    "findings": "/api/v1/findings",
    "critical findings": "/api/v1/findings?status=critical",
    "all findings": "/api/v1/findings?state=all",
    "credentials": "/api/v1/credentials",
    "expiry": "/api/v1/expiry",
    "scans": "/api/v1/scans",
    "acknowledgements": "/api/v1/acknowledgements",
    "the matrix page": "/",
}
DEEP = ("namespaces", "cells", "findings", "expiry", "scans")
PAGES_DEEP = 50


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.utils import timezone

    from dashboard.models import ApiKey

    settings.API_RATE = 1_000_000
    call_command("migrate", verbosity=0)
    now = timezone.now()
    add_findings(fill(now=now), now=now)
    analyse()
    print(f"\nAPI, {NAMESPACES:,} Namespaces × {CREDENTIALS} credentials, {connection.vendor}")
    print(f"  bounds: p95 {MOST_MILLISECONDS} ms, {MOST_QUERIES} queries a page")
    for name, size in PEOPLE.items():
        user = User.objects.get(username=name)
        user.set_password("correct horse battery")  # or a key is nobody's whom only a header named
        user.save()
        _, token = ApiKey.objects.issue(user, name="bench", scope="read", expires_at=now + timedelta(days=1), now=now)
        client = Client(headers={"host": "127.0.0.1", "authorization": f"Bearer {token}"})
        client.force_login(user)
        print(f"  {name}")
        for label, url in PAGES.items():
            if size is None or "/bench/" not in url:
                show(label, client, url)
        if size is None:
            for label in DEEP:
                show(f"{label}, page {PAGES_DEEP}", client, deep(client, PAGES[label]))


def add_findings(cluster: Cluster, *, now: datetime) -> None:
    """An open finding for each cell that is not well, and as many that are resolved."""
    from scanner.models import Cell, Finding

    hurt = (
        Cell.objects.filter(namespace__cluster=cluster)
        .exclude(status="ok")
        .values_list("namespace_id", "credential__slug", "status", "rank", "reason")
    )
    rows = [
        Finding(
            namespace_id=namespace, code="PS01", object=f"Secret/{slug}", credential=slug, status=status, rank=rank,
            reason=reason, message="A Pod names a pull Secret that is not here.", first_seen_at=now, last_seen_at=now,
            resolved_at=resolved_at, details={"secret": "regcred", "pods": ["web-0", "web-1"]},
        )
        for resolved_at in (now, None)
        for namespace, slug, status, rank, reason in hurt
    ]  # fmt: skip
    Finding.objects.bulk_create(rows, batch_size=500)


def deep(client: Client, url: str) -> str:
    """The address of a page far down the list."""
    for _ in range(PAGES_DEEP - 1):
        following = client.get(url).json()["next"]
        if following is None:
            return url
        url = following.removeprefix("http://127.0.0.1")
    return url


def show(label: str, client: Client, url: str) -> None:
    found = figures(client, url)
    good = found.p95 <= MOST_MILLISECONDS and found.queries <= MOST_QUERIES
    print(
        f"    {label:20} p95 {found.p95:5.0f} ms, median {found.median:4.0f} ms, cpu {found.cpu:4.0f} ms,"
        f" {found.queries:2} queries, {found.kilobytes:4.0f} kB{'' if good else '   over'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
