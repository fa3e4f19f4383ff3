from __future__ import annotations

from django.apps import AppConfig


class ScannerConfig(AppConfig):
    """What is true about a namespace."""

    name = "scanner"
