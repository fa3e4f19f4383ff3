"""Secrets of the deployment: whether they last, are apart, and cannot be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from dashboard.encryption import check_keys
from dashboard.system_checks.surroundings import is_sqlite

#: Characters of a key that cannot be guessed, if they are random.
_SHORTEST: Final = 20


@register(Tags.security, deploy=True)
def secret_key_lasts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W001: no CREDBOARD_SECRET_KEY, so sessions and fingerprints are lost at every restart."""
    if not settings.SECRET_KEY_IS_EPHEMERAL:
        return []
    return [
        checks.Warning(
            "CREDBOARD_SECRET_KEY is not set: everyone is signed out at each restart",
            hint="Set CREDBOARD_SECRET_KEY or CREDBOARD_SECRET_KEY_FILE to 50 random characters.",
            id="dashboard.W001",
        )
    ]


@register(deploy=True)
def processes_share_a_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E001: PostgreSQL without CREDBOARD_SECRET_KEY. Several processes, each with a key of its own: a session
    that one began means nothing to the others, and the same credential gets another fingerprint in each."""
    if not settings.SECRET_KEY_IS_EPHEMERAL or is_sqlite():
        return []
    return [
        checks.Error(
            "With PostgreSQL all processes need the same CREDBOARD_SECRET_KEY, and it is not set",
            hint="Set CREDBOARD_SECRET_KEY or CREDBOARD_SECRET_KEY_FILE to 50 random characters, for all of them.",
            id="dashboard.E001",
        )
    ]


@register(Tags.security)
def encryption_keys_are_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E002: a key in CREDBOARD_ENCRYPTION_KEYS is none, so nothing can be encrypted nor decrypted."""
    try:
        check_keys()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint="Put one key after another, divided by blanks.", id="dashboard.E002")]
    return []


@register(Tags.security, deploy=True)
def keys_are_apart(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.I001: no CREDBOARD_FINGERPRINT_KEY of its own: a new CREDBOARD_SECRET_KEY changes every fingerprint,
    which the next scan makes anew."""
    if settings.FINGERPRINT_KEY != settings.SECRET_KEY or settings.SECRET_KEY_IS_EPHEMERAL:
        return []
    return [
        checks.Info(
            "Fingerprints are keyed with CREDBOARD_SECRET_KEY: changing one changes the other",
            hint="Set CREDBOARD_FINGERPRINT_KEY to another 50 random characters. See docs/rotating-keys.md.",
            id="dashboard.I001",
        )
    ]


@register(Tags.security, deploy=True)
def keys_are_long(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W012: CREDBOARD_FINGERPRINT_KEY or CREDBOARD_METRICS_TOKEN is so short that it can be guessed. (Django
    says so of CREDBOARD_SECRET_KEY.)"""
    values = {"CREDBOARD_FINGERPRINT_KEY": settings.FINGERPRINT_KEY, "CREDBOARD_METRICS_TOKEN": settings.METRICS_TOKEN}
    return [
        checks.Warning(
            f"{name} has fewer than {_SHORTEST} characters",
            hint='Make it of 50 random ones: python -c "import secrets; print(secrets.token_urlsafe(50))"',
            id="dashboard.W012",
        )
        for name, value in values.items()
        if value and value != settings.SECRET_KEY and len(value) < _SHORTEST
    ]


@register(Tags.security, deploy=True)
def keys_have_one_use(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W013: two secrets have the same value, so whoever is told one has the other as well."""
    values = {
        "CREDBOARD_SECRET_KEY": [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS],
        "CREDBOARD_FINGERPRINT_KEY": {settings.FINGERPRINT_KEY} - {settings.SECRET_KEY},
        "CREDBOARD_ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS,
        "CREDBOARD_METRICS_TOKEN": [settings.METRICS_TOKEN],
        "CREDBOARD_SMTP_PASSWORD": [settings.SMTP_SERVER.password] if settings.SMTP_SERVER else [],
    }
    return [
        checks.Warning(
            f"{one} and {other} have the same value",
            hint="Give each a value of its own. See docs/rotating-keys.md.",
            id="dashboard.W013",
        )
        for one, other in combinations(values, 2)
        if {*values[one]} & {*values[other]} - {""}
    ]


@register(deploy=True)
def key_can_be_a_former_one(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W019: CREDBOARD_SECRET_KEY holds blanks, which divide the keys of CREDBOARD_SECRET_KEY_FALLBACKS: it
    could never stand there, so changing it would lose what it encrypts."""
    if len(settings.SECRET_KEY.split()) == 1:
        return []
    return [
        checks.Warning(
            "CREDBOARD_SECRET_KEY holds blanks, so it cannot become one of CREDBOARD_SECRET_KEY_FALLBACKS",
            hint="Set CREDBOARD_ENCRYPTION_KEYS and run manage.py rotatekeys; then set another CREDBOARD_SECRET_KEY.",
            id="dashboard.W019",
        )
    ]
