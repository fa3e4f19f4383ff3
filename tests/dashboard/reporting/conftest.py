"""A Monday at nine, with mail that is on."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from dashboard.mail.server import Sender
from scanner.models import Cluster
from tests import factories
from tests.dashboard.reporting.builders import NOW


@pytest.fixture(autouse=True)
def _world(settings: Any) -> Any:
    settings.MAIL_IS_ON = True
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")
    settings.MAIL_DOMAINS = frozenset({"example.com"})
    settings.PUBLIC_URL = "https://credboard.example.com"
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return factories.cluster(scanned_at=NOW)
