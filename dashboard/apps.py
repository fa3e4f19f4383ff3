from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """What people see."""

    name = "dashboard"

    def ready(self) -> None:
        from dashboard import system_checks  # noqa: F401, PLC0415 (registers itself)
