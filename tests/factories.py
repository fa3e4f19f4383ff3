"""Small builders of rows, for tests of what reads them. Each takes what the test is about and fills in the rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from scanner.check import Status, rank, worst
from scanner.models import Cell, Cluster, Credential, Finding, Namespace, NamespaceOwner, Scan


def operator(name: str = "ada") -> User:
    """Somebody with a password, not from a header: they stay an operator whatever CREDBOARD_OPERATORS says. Nobody can
    sign in with it, since no hash looks like this."""
    return User.objects.create(username=name, is_staff=True, password="none")


def owner(name: str = "grace") -> User:
    return User.objects.create_user(username=name)


def cluster(name: str = "prod-eu", *, scanned_at: datetime | None = None, **fields: Any) -> Cluster:
    """A cluster; with `scanned_at` one whose newest scan ended well then."""
    made = Cluster.objects.create(name=name, **{"next_scan_at": timezone.now() + timedelta(seconds=48), **fields})
    if scanned_at is not None:
        scan(made, started_at=scanned_at, finished_at=scanned_at, state=Scan.State.DONE)
    return made


def scan(of: Cluster, **fields: Any) -> Scan:
    return Scan.objects.create(cluster=of, **{"started_at": timezone.now(), **fields})


def namespace(
    of: Cluster,
    name: str = "team-vision",
    *,
    cells: dict[str, str | dict[str, Any]] | None = None,
    owners: tuple[str, ...] = (),
    scanned_at: datetime | None = None,
    **fields: Any,
) -> Namespace:
    """A Namespace, scanned now unless said otherwise. `cells` maps credentials to "status reason" or to fields."""
    now = timezone.now()
    values = {"status": Status.OK, "rank": 0, "reason": "", "scanned_at": scanned_at or now} | fields
    made = Namespace.objects.create(cluster=of, name=name, **values)
    for person in owners:
        NamespaceOwner.objects.create(namespace=made, kind="user", name=person, source="profile")
    statuses = [cell(made, credential, told).status for credential, told in (cells or {}).items()]
    if statuses and "status" not in fields:
        made.status = worst(Status(status) for status in statuses)
        made.rank = rank(made.status)
        made.critical_cells = statuses.count(Status.CRITICAL)
        made.save()
    return made


def cell(of: Namespace, credential: str = "registry/quay.io", told: str | dict[str, Any] = "ok covered") -> Cell:
    fields = dict(told) if isinstance(told, dict) else dict(zip(("status", "reason"), told.split(), strict=True))
    column, _ = Credential.objects.get_or_create(cluster=of.cluster, slug=credential)
    defaults = {"status": Status.OK, "reason": "covered", "since": timezone.now() - timedelta(minutes=26)}
    values = defaults | fields
    return Cell.objects.create(namespace=of, credential=column, rank=rank(values["status"]), **values)


def finding(of: Namespace, code: str = "PS01", **fields: Any) -> Finding:
    now = timezone.now()
    values = {
        "object": "Secret/regcred",
        "credential": "registry/quay.io",
        "status": Status.CRITICAL,
        "reason": "missing",
        "message": "Pod web-0 names the pull Secret regcred, which is not here.",
        "first_seen_at": now - timedelta(minutes=26),
        "last_seen_at": now,
    } | fields
    return Finding.objects.create(namespace=of, code=code, rank=rank(values["status"]), **values)
