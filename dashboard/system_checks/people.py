"""How people reach Credboard, and who they can say they are."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.http.request import split_domain_port, validate_host

from dashboard import env
from dashboard.identity import RESERVED
from dashboard.system_checks.surroundings import is_here

#: A range of proxies with a shorter prefix holds more than any mesh has.
_WIDE: Final = 7


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


@register(Tags.security, deploy=True)
def people_elsewhere_use_tls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """dashboard.W005: CREDBOARD_ALLOWED_HOSTS names hosts that are reached over a network, without CREDBOARD_HTTPS."""
    hosts = [host for host in settings.ALLOWED_HOSTS if not is_here(host)]
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


def _together(networks: Sequence[env.Network]) -> list[env.Network]:
    """The same addresses in as few ranges as can be: two halves of everything are everything."""
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]
