"""A real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from dashboard.mail.server import Sender
from tests.rig.smtp import SmtpSink


@pytest.fixture(autouse=True)
def _sender(settings: Settings) -> None:
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")


@pytest.fixture(name="sink")
def _sink() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        yield sink
