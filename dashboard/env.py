"""Reading settings from environment variables.

Every reader accepts `NAME` or `NAME_FILE` (the path of a file with the value, as Docker and Kubernetes mount secrets)
and raises ImproperlyConfigured naming the variable, what it holds (never for secrets) and what it should hold.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from scanner.policy import Policy

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def text(name: str, default: str = "") -> str:
    """The value of `name`, stripped; `default` when it is unset or empty."""
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; unset one of them")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {type(error).__name__}") from error
    return value or default


def boolean(name: str, default: bool) -> bool:
    value = text(name).lower()
    if value in ("", "true", "1", "yes", "on"):
        return default if value == "" else True
    if value in ("false", "0", "no", "off"):
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is not a boolean; use true or false")


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = text(name)
    try:
        number = int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number") from None
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name}={number} is not between {minimum} and {maximum}")
    return number


def words(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A list separated by commas or white space."""
    return tuple(text(name).replace(",", " ").split()) or default


def policy(name: str) -> Policy:
    """What the policy file states whose path is in `name`; nothing without one."""
    path = os.environ.get(name, "").strip()
    if not path:
        return Policy()
    # Only with a file: it takes every check and credential kind to judge one.
    from scanner.policy_file import BadPolicy, read_policy  # noqa: PLC0415

    try:
        return read_policy(Path(path).read_text(encoding="utf-8"), name=path)
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}={path} cannot be read: {type(error).__name__}") from error
    except BadPolicy as error:
        raise ImproperlyConfigured(f"{name} cannot be used.\n{error}") from None


def networks(name: str) -> tuple[Network, ...]:
    """A list of IP ranges (CIDR) or addresses."""
    found: list[Network] = []
    for word in words(name):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ImproperlyConfigured(f"{name}: {word!r} is not an IP range such as 10.0.0.0/8") from None
    return tuple(found)
