"""What several checks ask of a deployment."""

from __future__ import annotations

import ipaddress

from django.conf import settings


def is_sqlite() -> bool:
    """Whether rows are stored in a file of this machine."""
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


def is_here(host: str) -> bool:
    """Whether this name or address is that of this machine alone."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare in ("", "localhost")
