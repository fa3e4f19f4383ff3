"""The only import of Apprise: an address becomes a service, a message reaches it, or words say why not.

What an address holds is secret, and Apprise writes parts of it into its log. So that log goes nowhere, and of its lines
only masked ones become the words of an error.

An operator chooses addresses, and is still not meant to reach everything that this process can: only services on a list
are allowed, none that acts on this machine; parameters that name files are refused; redirects are not followed; and a
webhook does not go to a link-local address, where clouds keep the credentials of machines.
"""

from __future__ import annotations

import logging
import re
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from dashboard.models.alert import LONGEST_ERROR
from scanner.check import Status
from scanner.pasted_kubeconfig import is_nobodys
from scanner.words import shown, without_secrets

if TYPE_CHECKING:
    from apprise.plugins import NotifyBase

log = logging.getLogger(__name__)

_WELL_KNOWN: Final = """
azure betterstack brevo cliq dingtalk discord feishu firehydrant form forms gchat goalert goalerts gotify gotifys hassio
hassios ilert incidentio json jsons lark mailgun mailto mailtos matrix matrixs mmost mmosts nctalk nctalks ntfy ntfys
o365 opsgenie pagerduty pagertree postmark pover resend revolt rocket rockets ryver sendgrid ses signl4 slack smtp2go
sns sparkpost spike splunk squadcast tgram twilio victorops webex wecombot workflow workflows wxteams xml xmls xmatters
zoom zulip
"""
_NEVER: Final = "blink1 dbus exec file gio glib gnome growl kde macosx qt rsyslog syslog syslogs windows"
#: By what the addresses of the well-known services begin. An operator can say others (CREDBOARD_ALERT_SCHEMAS).
WELL_KNOWN: Final = frozenset(_WELL_KNOWN.split())
#: Those that act on the machine that Credboard runs on: never, whatever the setting says.
NEVER: Final = frozenset(_NEVER.split())
WEBHOOKS: Final = frozenset({"form", "forms", "json", "jsons", "xml", "xmls"})
#: Parameters of addresses that have Apprise read a file of this machine.
_FILES: Final = frozenset({"template", "keyfile", "attach", "cert", "ca"})
_FILE_PREFIXES: Final = ("pgp", "pem", "smime")
_SHORTEST_SECRET: Final = 3

_ABOUT: Final[Mapping[str, str]] = {Status.CRITICAL: "failure", Status.WARNING: "warning", Status.OK: "success"}


class BadAddress(ValueError):
    """The address cannot be used. The text says why, without any part of it but the service's name."""


class NotSent(Exception):
    """The service did not take the message. The text says why, without any part of the address, in 256 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What may be said of an address: `schema` ("slack") and the service's `label` ("Slack")."""

    schema: str
    label: str


def allowed() -> frozenset[str]:
    """By what addresses may begin."""
    chosen: frozenset[str] = settings.ALERT_SCHEMAS or WELL_KNOWN
    return frozenset(schema.lower() for schema in chosen) - NEVER


def unusable_schemas() -> list[str]:
    """Those of `settings.ALERT_SCHEMAS` that no alert can be sent by: no service of Apprise's, or never allowed."""
    chosen = {schema.lower() for schema in settings.ALERT_SCHEMAS}
    if not chosen:
        return []
    known = set(load().manager_plugins.NotificationManager().schemas()) - NEVER
    return sorted(chosen - known)


@sensitive_variables()
def check_address(url: str) -> Service:
    """What `url` leads to. Raises BadAddress. Nothing is connected to."""
    schema, service = _service(url)
    return Service(schema=schema, label=str(service.service_name))


@sensitive_variables()
def send(url: str, *, title: str, body: str, status: str) -> None:
    """Have the service at `url` take a message about `status`. Waits `settings.ALERT_TIMEOUT` seconds at most (and a
    moment). Raises BadAddress or NotSent."""
    schema, service = _service(url)
    _refuse_metadata(schema, service)
    apprise = load()
    carrier = apprise.Apprise(asset=service.asset)
    carrier.add(service)
    try:
        result = carrier.notify(
            body, title=title, notify_type=_ABOUT.get(status, "info"), body_format=apprise.NotifyFormat.TEXT
        )
    except Exception as error:
        # A plugin may raise anything, and its text may quote the address: only the type is kept, also in the log.
        log.error("Apprise failed with %s", type(error).__name__)
        raise NotSent(f"The service {service.service_name} could not be used ({type(error).__name__}).") from None
    if result:
        return
    if result.status is apprise.result.AppriseResultStatus.TIMEOUT:
        raise NotSent(f"{service.service_name} did not answer within {settings.ALERT_TIMEOUT} seconds.")
    said = " ".join(dict.fromkeys(entry.message for entry in result.logs()))
    raise NotSent(masked(said, url) or f"{service.service_name} did not take the message and did not say why.")


@sensitive_variables()
def masked(text: str, url: str) -> str:
    """`text` on one line without any part of `url` that could be secret, its host included, in 256 characters."""
    text = " ".join(text.split())
    for part in sorted(_parts(url), key=len, reverse=True):
        text = text.replace(part, "***")
    return shown(without_secrets(text), LONGEST_ERROR)


@sensitive_variables()
def _parts(url: str) -> set[str]:
    pieces = urlsplit(url)
    found = [url, pieces.netloc, *pieces.netloc.replace("@", ":").split(":"), pieces.path, *pieces.path.split("/")]
    found += [pieces.query, pieces.fragment, *re.split("[&;=]", pieces.query)]
    everything = {*found, *(unquote(part) for part in found), *(part.lower() for part in found)}
    return {part for part in everything if len(part) >= _SHORTEST_SECRET}


@cache
def load() -> Any:
    """Apprise, with a log that nobody reads. Only when needed: it takes half a second and a hundred modules. Whoever is
    about to send from threads calls this before, since the filter of warnings is one for all threads."""
    with warnings.catch_warnings():
        # Its plugins for mail look for a module of Python's that is on its way out, and can do without.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise  # noqa: PLC0415
        import apprise.manager_plugins  # noqa: PLC0415
        import apprise.result  # noqa: PLC0415

        apprise.manager_plugins.NotificationManager().load_modules()  # type: ignore[no-untyped-call]
    logger = logging.getLogger("apprise")
    # Below a warning it tells whole addresses; and that much only to whoever asks for the result of a sending.
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return apprise


@sensitive_variables()
def _service(url: str) -> tuple[str, NotifyBase]:
    """By what the address begins in Apprise's own words ("slack", also where a page's address was pasted), and the
    service."""
    url = url.strip()
    _refuse_files(url)
    schema = url.partition("://")[0].lower()
    if schema not in (*allowed(), "http", "https"):
        raise BadAddress(f"Addresses that begin with {shown(schema, 20)}:// are not allowed here. {_hint(schema)}")
    apprise = load()
    parts = apprise.plugins.url_to_dict(url, secure_logging=True)
    if not parts or parts["schema"] not in allowed():
        raise BadAddress(f"This is no address of a service that Credboard can send to. {_hint(schema)}")
    schema = str(parts["schema"])
    service: NotifyBase | None = apprise.Apprise.instantiate(parts, asset=_asset(apprise))
    if service is None:
        raise BadAddress(f"This is no whole address of the service {schema}: look up in Apprise's list what it needs.")
    # What an address may say of itself, but not here: to wait longer, to try again by itself, to follow redirects, and
    # to count as sent when it was not.
    service.redirects = service.optional = False
    service.retry = 0
    service.socket_connect_timeout = min(service.socket_connect_timeout, float(settings.ALERT_TIMEOUT))
    service.socket_read_timeout = float(settings.ALERT_TIMEOUT)
    return schema, service


def _asset(apprise: Any) -> Any:
    asset = apprise.AppriseAsset(
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        allow_templates=False,
        service_timeout=settings.ALERT_TIMEOUT,
    )
    asset.app_id, asset.app_desc, asset.app_url = "Credboard", "Credboard", ""
    asset.image_url_mask = asset.image_url_logo = ""  # else services fetch pictures of Apprise's from elsewhere
    asset.http_redirects = asset.pgp_autogen = asset.pem_autogen = False
    return asset


def _hint(schema: str) -> str:
    if schema in ("http", "https"):
        return "For a webhook of your own write jsons:// in place of https:// (or forms://, xmls://)."
    return "Examples: slack://…, workflows://… (Teams), discord://…, pagerduty://…, mailtos://…, ntfys://…, jsons://…"


@sensitive_variables()
def _refuse_files(url: str) -> None:
    try:
        names = {name.lower().lstrip("+-:") for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    except ValueError:
        raise BadAddress("This is not an address: its host or port cannot be read.") from None
    for name in sorted(names):
        if name in _FILES or name.startswith(_FILE_PREFIXES):
            raise BadAddress(f"The parameter {name} names a file of the server, which alerts may not read.")


@sensitive_variables()
def _refuse_metadata(schema: str, service: NotifyBase) -> None:
    host = str(service.host or "")
    found = [host.strip("[]")]
    if schema in WEBHOOKS:
        # Other services may keep a token where a host stands, which no name server is to hear of.
        try:
            found = [str(info[4][0]) for info in socket.getaddrinfo(host.strip("[]"), service.port or 443)]
        except (OSError, UnicodeError):
            raise NotSent(f"The host of the {service.service_name} address has no address in DNS.") from None
    if any(is_nobodys(one) for one in found):
        raise BadAddress("The address leads to a link-local address or the like, where clouds keep credentials.")
