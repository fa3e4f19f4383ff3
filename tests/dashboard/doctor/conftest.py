from __future__ import annotations

from typing import Any

import pytest

from dashboard.doctor import broker as broker_module
from tests.dashboard.doctor.told import PASSWORD
from tests.rig.process import free_port
from tests.rig.valkey import ValkeyServer


@pytest.fixture(autouse=True)
def _nothing_answers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test says otherwise: a broker that is down, and workers that are not asked."""
    settings.REDIS_URL = f"redis://ada:{PASSWORD}@127.0.0.1:{free_port()}/0"
    settings.SMTP_SERVER = None
    monkeypatch.setattr(broker_module, "_workers", lambda: 1)


@pytest.fixture
def broker(valkey: ValkeyServer, settings: Any) -> ValkeyServer:
    settings.REDIS_URL = valkey.url
    return valkey
