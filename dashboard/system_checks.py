"""Settings that are no good together, or that Django's own checks cannot know of. Ids are never reused.

The first words of each docstring are the id and what is wrong; docs/settings.md lists them (`manage.py settingsdocs`).
Those about a deployment are asked by `check --deploy` and `manage.py doctor`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from dashboard import env
from dashboard.encryption import check_keys

#: Times that a silent API server is asked (scanner/cluster/transport.py), and what is waited in between, in seconds.
_TRIES, _WAITS = 3, 2
#: Variables that only tests read.
_OF_TESTS: Final = frozenset({"CREDBOARD_CHROMIUM", "CREDBOARD_CACHE"})


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


@register(Tags.security, deploy=True)
def trusted_header_has_a_range(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W002: CREDBOARD_TRUSTED_PROXIES holds every address, so anyone can name themselves."""
    if all(network.prefixlen for network in settings.TRUSTED_PROXIES):
        return []
    return [
        checks.Warning(
            "CREDBOARD_TRUSTED_PROXIES holds every address: anyone who reaches Credboard can claim to be anyone",
            hint="Name the addresses of your mesh's gateway or sidecar only, for example 127.0.0.6/32.",
            id="dashboard.W002",
        )
    ]


@register()
def variables_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W003: a variable that begins with CREDBOARD_ is no setting, perhaps a slip of the pen."""
    return [
        checks.Warning(
            f"{name} is set, and is no setting of Credboard",
            hint=f"Did you mean {nearest}?" if nearest else "Unset it; docs/settings.md has all there are.",
            id="dashboard.W003",
        )
        for name, nearest in env.unknown(os.environ).items()
        if name not in _OF_TESTS
    ]


@register(deploy=True)
def processes_share_a_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E001: PostgreSQL without CREDBOARD_SECRET_KEY. Several processes, each with a key of its own: a session
    that one began means nothing to the others, and the same credential gets another fingerprint in each."""
    if not settings.SECRET_KEY_IS_EPHEMERAL or _is_sqlite():
        return []
    return [
        checks.Error(
            "With PostgreSQL all processes need the same CREDBOARD_SECRET_KEY, and it is not set",
            hint="Set CREDBOARD_SECRET_KEY or CREDBOARD_SECRET_KEY_FILE to 50 random characters, for all of them.",
            id="dashboard.E001",
        )
    ]


@register(deploy=True)
def sqlite_stays_on_one_machine(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W004: SQLite with a broker on another machine. A worker elsewhere cannot write to that file."""
    if not _is_sqlite() or _is_here(urlsplit(settings.REDIS_URL).hostname or ""):
        return []
    return [
        checks.Warning(
            "SQLite is used with a broker on another machine: workers that run elsewhere do not see its file",
            hint="Set DATABASE_URL to a PostgreSQL database, or run everything on this machine.",
            id="dashboard.W004",
        )
    ]


@register(Tags.security, deploy=True)
def people_elsewhere_use_tls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W005: CREDBOARD_ALLOWED_HOSTS names hosts that are reached over a network, without CREDBOARD_HTTPS."""
    hosts = [host for host in settings.ALLOWED_HOSTS if not _is_here(host)]
    if settings.HTTPS or not hosts:
        return []
    return [
        checks.Warning(
            f"Sessions for {', '.join(hosts[:3])} travel without TLS",
            hint="Let a proxy end TLS, and set CREDBOARD_HTTPS=true.",
            id="dashboard.W005",
        )
    ]


@register(Tags.security, deploy=True)
def hosts_are_named(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W006: CREDBOARD_ALLOWED_HOSTS holds every name, so whoever asks chooses the host in its answers."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        checks.Warning(
            "CREDBOARD_ALLOWED_HOSTS=* takes any host name that a request brings",
            hint="Name the hosts under which people reach Credboard.",
            id="dashboard.W006",
        )
    ]


@register(deploy=True)
def tasks_are_not_sent_twice(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W007: CREDBOARD_REDELIVER_AFTER is shorter than a task may take, so one that runs is sent again."""
    limit = settings.CELERY_TASK_TIME_LIMIT
    if limit < settings.REDELIVER_AFTER:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_REDELIVER_AFTER={settings.REDELIVER_AFTER} is not longer than a task may take ({limit} s)",
            hint=f"Set it above {limit}, or unset it.",
            id="dashboard.W007",
        )
    ]


@register(deploy=True)
def lease_outlives_a_silent_server(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W008: CREDBOARD_SCAN_LEASE is shorter than all tries of CREDBOARD_API_TIMEOUT, so a slow scan is taken
    over while it works."""
    longest = _TRIES * settings.API_TIMEOUT + _WAITS
    if longest < settings.SCAN_LEASE:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_SCAN_LEASE={settings.SCAN_LEASE} is not longer than three tries of "
            f"CREDBOARD_API_TIMEOUT={settings.API_TIMEOUT} ({longest} s)",
            hint=f"Set CREDBOARD_SCAN_LEASE above {longest}, or CREDBOARD_API_TIMEOUT lower.",
            id="dashboard.W008",
        )
    ]


@register(deploy=True)
def operators_can_come(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W009: CREDBOARD_OPERATORS without CREDBOARD_TRUSTED_PROXIES: the header that would name them is not
    believed from anywhere."""
    if not settings.OPERATORS or settings.TRUSTED_PROXIES:
        return []
    return [
        checks.Warning(
            "CREDBOARD_OPERATORS is set, and no proxy is trusted to name anybody",
            hint="Set CREDBOARD_TRUSTED_PROXIES to the addresses of your mesh's gateway, or unset CREDBOARD_OPERATORS.",
            id="dashboard.W009",
        )
    ]


@register(deploy=True)
def links_in_mails_lead_here(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W010: mail is on without CREDBOARD_URL, so the links in every mail lead to the reader's own machine."""
    if settings.PUBLIC_URL_IS_SET or not settings.MAIL_IS_ON:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_URL is not set: links in mails begin with {settings.PUBLIC_URL}",
            hint="Set CREDBOARD_URL to the address under which people reach Credboard: https://credboard.example.com",
            id="dashboard.W010",
        )
    ]


@register(Tags.security)
def encryption_keys_are_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.E002: a key in CREDBOARD_ENCRYPTION_KEYS is none, so nothing can be encrypted nor decrypted."""
    try:
        check_keys()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="dashboard.E002")]
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


def documented() -> Iterator[tuple[str, str]]:
    """Id and meaning of every check in this file, by id."""
    docs = (" ".join((one.__doc__ or "").split()) for one in list(globals().values()) if callable(one))
    found = (doc.removeprefix("dashboard.").partition(": ") for doc in docs if doc.startswith("dashboard."))
    yield from sorted((f"dashboard.{key}", meaning) for key, _, meaning in found)


def _is_sqlite() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


def _is_here(host: str) -> bool:
    """Whether this name or address is that of this machine alone."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare in ("", "localhost")
