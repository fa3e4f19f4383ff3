"""Routes and changes, as tests want them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dashboard.alerting.planning import plan
from dashboard.encryption import encrypt
from dashboard.models import AlertMessage, AlertRoute
from scanner.models import Cell, Cluster, Transition
from scanner.verdict import Verdict
from tests.scanner.verdicts import NOON, QUAY, cell, scanned, user, verdict

LONG_AGO = NOON - timedelta(days=1)


def route(name: str = "platform", *, url: str = "json://127.0.0.1:9/", **fields: Any) -> AlertRoute:
    values = {"severities": ["critical"], "created_by": "ada", "service": "json", "listens_since": LONG_AGO} | fields
    return AlertRoute.objects.create(name=name, url=encrypt(url), **values)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def team(name: str, told: str = "ok covered", *, credential: str = QUAY, **fields: Any) -> Verdict:
    if "owner" in fields:
        fields["owners"] = (user(fields.pop("owner")),)
    return verdict(name, cells=[cell(credential, told)] if told else [], **fields)


def scan(cluster: Cluster, told: dict[str, str] | list[Verdict], *, minute: float) -> None:
    """A scan that finds `told` (Namespace → "status reason")."""
    verdicts = told if isinstance(told, list) else [team(name, state) for name, state in told.items()]
    scanned(cluster, *verdicts, now=at(minute))


def planned(minute: float) -> list[AlertMessage]:
    """What stands in the outbox after the planner ran at `minute`."""
    plan(now=at(minute))
    return list(AlertMessage.objects.exclude(state="collecting").order_by("pk"))


def titles(minute: float) -> list[str]:
    return [message.title for message in planned(minute)]


def transition(cluster: Cluster, namespace: str, before: str, after: str, *, minute: float) -> Transition:
    """A row as a scan writes it, with the cell changed to match."""
    row = Cell.objects.select_related("namespace").get(namespace__cluster=cluster, namespace__name=namespace)
    states = [text.split(" ", 1) if text else ["", ""] for text in (before, after)]
    row.status, row.reason = states[1]
    row.save()
    return Transition.objects.create(
        namespace=row.namespace,
        credential=row.credential,
        at=at(minute),
        status_before=states[0][0],
        reason_before=states[0][1],
        status_after=states[1][0],
        reason_after=states[1][1],
    )
