"""Misconfiguration that Django's own checks cannot know of. Ids are never reused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register


@register(Tags.security, deploy=True)
def secret_key_lasts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W001: sessions and fingerprints are lost at every restart without a key of one's own."""
    if not settings.SECRET_KEY_IS_EPHEMERAL:
        return []
    return [
        checks.Warning(
            "CREDBOARD_SECRET_KEY is not set: everyone is signed out at each restart",
            hint="Set CREDBOARD_SECRET_KEY or CREDBOARD_SECRET_KEY_FILE to 50 random characters.",
            id="dashboard.W001",
        )
    ]


@register(Tags.security, deploy=True)
def trusted_header_has_a_range(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W002: a range that holds every address lets anyone name themselves."""
    if all(network.prefixlen for network in settings.TRUSTED_PROXIES):
        return []
    return [
        checks.Warning(
            "CREDBOARD_TRUSTED_PROXIES holds every address: anyone who reaches Credboard can claim to be anyone",
            hint="Name the addresses of your mesh's gateway or sidecar only, for example 127.0.0.6/32.",
            id="dashboard.W002",
        )
    ]
