from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.dashboard.alerting.sink import Sink, listening


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


@pytest.fixture(autouse=True)
def _short_waits(settings: Settings) -> None:
    settings.ALERT_TIMEOUT = 1
    settings.PUBLIC_URL = "https://credboard.example.com"
