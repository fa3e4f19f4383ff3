"""A mail in the outbox, and the server that it goes to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dashboard.mail.server import SmtpServer
from dashboard.models import Mail
from tests.rig.smtp import SmtpSink

PASSWORD = "canary-smtp-5e1f"
USERS = {"credboard": PASSWORD}


def server(sink: SmtpSink, **fields: Any) -> SmtpServer:
    return SmtpServer(**{"host": "127.0.0.1", "port": sink.port, "security": "none", "timeout": 20, **fields})


def wanted(key: str = "report:1:2026-11-16", **fields: Any) -> Mail:
    values = {
        "kind": "report",
        "to": "grace@example.com",
        "subject": "Your Namespaces: all well",
        "html": "<p>All well</p>",
        "text": "All well\n",
        "headers": {},
    } | fields
    mail = Mail.objects.enqueue(key=key, **values)
    assert mail is not None
    return mail


def later(by: timedelta) -> Callable[[], datetime]:
    """A clock that is ahead."""
    return lambda: timezone.now() + by


def now_of(mail: Mail) -> Mail:
    mail.refresh_from_db()
    return mail
