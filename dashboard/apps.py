from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings

from dashboard.celery import app  # noqa: F401 (from here on tasks are of it)


class DashboardConfig(AppConfig):
    """What people see."""

    name = "dashboard"

    def ready(self) -> None:
        _make_data_folder()
        from dashboard import system_checks  # noqa: F401, PLC0415 (registers itself)


def _make_data_folder() -> None:
    """SQLite makes its file, but not the folder of it. Only our own folder is made: another that is not there is a
    mistake in DATABASE_URL."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3") and Path(database["NAME"]).parent == settings.DATA_DIR:
        # Where that is not allowed either, whatever needs the database says so; commands like `scan` do not need it.
        with suppress(OSError):
            settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
