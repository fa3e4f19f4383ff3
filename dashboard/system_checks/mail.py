"""Mails and alerts that go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

from dashboard.alerting.sending import unusable_schemas
from dashboard.mail.server import PORTS
from dashboard.system_checks.surroundings import is_here


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
    elif server.security == "none" and not is_here(server.host):
        found = f"CREDBOARD_SMTP_SECURITY=none sends mails to {server.host} in clear"
        hint = "Use starttls or tls, or a server on this machine."
    else:
        return []
    return [checks.Warning(found, hint=hint, id="dashboard.W015")]


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
