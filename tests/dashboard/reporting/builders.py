"""A reader whose report is due, and what changed in a Namespace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User

from dashboard.models import Mail, Subscription
from dashboard.reports.sending import send_due
from scanner.models import Credential, Namespace, Transition

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)  # a Monday
QUAY = "registry/quay.io"


def subscribe(address: str = "grace@example.com", user: User | None = None, **fields: Any) -> Subscription:
    """A subscription whose report is due at NOW."""
    made = Subscription.by_default(address, source="profile", user=user)
    for name, value in {"next_send_at": NOW, **fields}.items():
        setattr(made, name, value)
    made.save()
    return made


def send() -> list[Mail]:
    """All mails, after what is due was sent."""
    send_due(list(Subscription.objects.values_list("pk", flat=True)), now=NOW)
    return list(Mail.objects.order_by("to", "pk"))


def changed(of: Namespace, *, before: str, after: str, at: datetime, credential: str = QUAY) -> None:
    column, _ = Credential.objects.get_or_create(cluster=of.cluster, slug=credential)
    was, why = before.split()
    now, now_why = after.split()
    Transition.objects.create(
        namespace=of, credential=column, at=at, status_before=was, reason_before=why, status_after=now,
        reason_after=now_why,
    )  # fmt: skip
