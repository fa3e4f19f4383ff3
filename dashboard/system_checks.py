"""Settings that are no good together, or that Django's own checks cannot know of. Ids are never reused.

The first words of each docstring are the id and what is wrong; docs/settings.md lists them (`manage.py settingsdocs`).
Those about a deployment are asked by `check --deploy` and `manage.py doctor`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port, validate_host

from dashboard import env
from dashboard.alerting.sending import unusable_schemas
from dashboard.encryption import check_keys
from dashboard.identity import RESERVED
from dashboard.mail.server import PORTS

#: Times that a silent API server is asked (scanner/cluster/transport.py), and what is waited in between, in seconds.
_TRIES, _WAITS = 3, 2
#: A range of proxies with a shorter prefix holds more than any mesh has.
_WIDE: Final = 7
#: Characters of a key that cannot be guessed, if they are random.
_SHORTEST: Final = 20
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
    """dashboard.W002: CREDBOARD_TRUSTED_PROXIES holds so many addresses that nearly anyone can name themselves."""
    wide = [network for network in _together(settings.TRUSTED_PROXIES) if network.prefixlen < _WIDE]
    if not wide:
        return []
    return [
        checks.Warning(
            f"CREDBOARD_TRUSTED_PROXIES holds all of {wide[0]}: anyone who reaches Credboard can claim to be anyone",
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


@register(deploy=True)
def address_and_tls_agree(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W011: CREDBOARD_URL or CREDBOARD_TRUSTED_ORIGINS and CREDBOARD_HTTPS disagree: cookies that are only
    sent over https never come back over http, and without it they are sent over both."""
    url = settings.PUBLIC_URL if settings.PUBLIC_URL_IS_SET else ""
    https = [one for one in (url, *settings.CSRF_TRUSTED_ORIGINS) if one.startswith("https://")]
    if https and not settings.HTTPS:
        found = f"People come to {https[0]} with CREDBOARD_HTTPS=false: cookies are not kept to TLS"
    elif settings.HTTPS and url.startswith("http://"):
        found = f"CREDBOARD_URL is {url} with CREDBOARD_HTTPS=true: browsers keep cookies to TLS, so nobody can sign in"
    else:
        return []
    hint = "Let CREDBOARD_HTTPS be true exactly where addresses begin with https."
    return [checks.Warning(found, hint=hint, id="dashboard.W011")]


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


@register(deploy=True)
def address_leads_here(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W014: CREDBOARD_URL does not end with CREDBOARD_PATH_PREFIX, so links in mails lead elsewhere; or its
    host is none of CREDBOARD_ALLOWED_HOSTS, so they lead to an error."""
    url, prefix = urlsplit(settings.PUBLIC_URL), settings.FORCE_SCRIPT_NAME or ""
    if settings.PUBLIC_URL_IS_SET and url.path != prefix:
        found = f"CREDBOARD_URL has the path {url.path or '/'}, and pages are served under {prefix or '/'}"
        hint = "Let CREDBOARD_URL end with CREDBOARD_PATH_PREFIX: https://kubeflow.example.com/credboard, /credboard"
    elif settings.PUBLIC_URL_IS_SET and not validate_host(split_domain_port(url.netloc)[0], settings.ALLOWED_HOSTS):
        found = f"CREDBOARD_URL has the host {url.hostname}, and to that nothing but an error is answered"
        hint = "Add it to CREDBOARD_ALLOWED_HOSTS, or correct CREDBOARD_URL."
    else:
        return []
    return [checks.Warning(found, hint=hint, id="dashboard.W014")]


@register(deploy=True)
def mail_goes_by_its_port(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W015: CREDBOARD_SMTP_PORT is that of another CREDBOARD_SMTP_SECURITY, so both sides wait for each
    other; or mails cross a network in clear."""
    server = settings.SMTP_SERVER
    if server is None:
        return []
    if (server.security == "tls") is not (server.port == PORTS["tls"]) and server.port in PORTS.values():
        found = f"CREDBOARD_SMTP_PORT={server.port} is not the port of CREDBOARD_SMTP_SECURITY={server.security}"
        hint = "Use tls with 465, and starttls with 587 or 25."
    elif server.security == "none" and not _is_here(server.host):
        found = f"CREDBOARD_SMTP_SECURITY=none sends mails to {server.host} in clear"
        hint = "Use starttls or tls, or a server on this machine."
    else:
        return []
    return [checks.Warning(found, hint=hint, id="dashboard.W015")]


@register(deploy=True)
def operators_can_be_named(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W016: CREDBOARD_OPERATORS holds what no header can name: with CREDBOARD_USER_PREFIX, which is taken off
    before names are compared, or one of those that Kubernetes keeps to itself."""
    taken = tuple(filter(None, (RESERVED, settings.USER_PREFIX)))
    never = sorted(name for name in settings.OPERATORS if name.startswith(taken) or "*" in name)
    return [
        checks.Warning(
            f"CREDBOARD_OPERATORS holds {name}, and nobody is called so",
            hint="Write each name in full as pages show it in the corner: without CREDBOARD_USER_PREFIX, wildcards and "
            f"{RESERVED}",
            id="dashboard.W016",
        )
        for name in never
    ]


@register(Tags.security, deploy=True)
def groups_have_a_header_of_their_own(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W017: CREDBOARD_GROUPS_HEADER is CREDBOARD_USER_HEADER, so everyone is in a group of their own name."""
    if settings.GROUPS_HEADER.lower() != settings.USER_HEADER.lower():
        return []
    return [
        checks.Warning(
            f"CREDBOARD_GROUPS_HEADER and CREDBOARD_USER_HEADER are both {settings.USER_HEADER}",
            hint="Name the header with the person's groups, or unset CREDBOARD_GROUPS_HEADER.",
            id="dashboard.W017",
        )
    ]


@register(deploy=True)
def services_of_alerts_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W018: CREDBOARD_ALERT_SCHEMAS names what is no service, or one that is never allowed."""
    return [
        checks.Warning(
            f"CREDBOARD_ALERT_SCHEMAS holds {name}, to which no alert can go",
            hint="Write what addresses of a service begin with, before ://, such as slack or mailtos.",
            id="dashboard.W018",
        )
        for name in unusable_schemas()
    ]


def documented() -> Iterator[tuple[str, str]]:
    """Id and meaning of every check in this file, by id."""
    docs = (" ".join((one.__doc__ or "").split()) for one in list(globals().values()) if callable(one))
    found = (doc.removeprefix("dashboard.").partition(": ") for doc in docs if doc.startswith("dashboard."))
    yield from sorted((f"dashboard.{key}", meaning) for key, _, meaning in found)


def _is_sqlite() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


def _together(networks: Sequence[env.Network]) -> list[env.Network]:
    """The same addresses in as few ranges as can be: two halves of everything are everything."""
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]


def _is_here(host: str) -> bool:
    """Whether this name or address is that of this machine alone."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare in ("", "localhost")
