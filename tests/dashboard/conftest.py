from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import Cluster
from tests import factories


@pytest.fixture(autouse=True)
def _static_files_as_they_lie(settings: Any) -> None:
    """Pages name static files plainly, so that no test depends on collectstatic having run."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def broker_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.shell.broker.is_up", lambda: True)


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.shell.broker.is_up", lambda: False)


@pytest.fixture
def cluster() -> Cluster:
    """One that was just scanned."""
    return factories.cluster(scanned_at=timezone.now())


@pytest.fixture
def ada(client: Client) -> Client:
    """An operator, signed in."""
    client.force_login(factories.operator())
    return client
