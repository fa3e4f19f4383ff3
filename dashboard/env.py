"""Reading settings from environment variables.

Every reader accepts `NAME` or `NAME_FILE` (the path of a file with the value, as Docker and Kubernetes mount secrets)
and raises ImproperlyConfigured naming the variable, what it holds (never for secrets) and what it should hold.

A reader that is told what the setting is for (`about`) declares it: `declared()` has all of them, from which
docs/settings.md is made and unknown variables are told.
"""

from __future__ import annotations

import difflib
import fcntl
import ipaddress
import os
import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from scanner.policy import Policy

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What our variables begin with.
PREFIX: Final = "CREDBOARD_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One declared setting. `default` and `values` are words for people; `about` says what it is for, and why."""

    name: str
    kind: str
    default: str
    values: str
    unit: str
    about: str
    section: str
    is_secret: bool
    #: Whether NAME_FILE may name a file with the value. Not where the value is read without us, or is a path itself.
    may_be_in_file: bool = True


_declared: dict[str, Setting] = {}
_section: list[str] = [""]


def declared() -> tuple[Setting, ...]:
    """All settings that were declared so far, in the order in which they were."""
    return tuple(_declared.values())


def section(title: str) -> None:
    """What is declared from here on stands under this title in docs/settings.md."""
    _section[0] = title


def declare(
    name: str,
    *,
    kind: str,
    default: str,
    about: str,
    values: str = "",
    unit: str = "",
    is_secret: bool = False,
    may_be_in_file: bool = True,
) -> None:
    """Declare a setting that something else reads, when it needs it. The first declaration of a name counts."""
    setting = Setting(
        name=name,
        kind=kind,
        default=default,
        values=values,
        unit=unit,
        about=about,
        section=_section[0],
        is_secret=is_secret,
        may_be_in_file=may_be_in_file,
    )
    _declared.setdefault(name, setting)


def unknown(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that look like settings of ours and are none, with the nearest name that is one, or ""."""
    known = {*_declared, *(f"{name}_FILE" for name, one in _declared.items() if one.may_be_in_file)}
    ours = sorted(name for name in names if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "") for name in ours}


def text(name: str, default: str = "", *, about: str = "", shown: str | None = None, unit: str = "") -> str:
    """The value of `name`, stripped; `default` when it is unset or empty. `shown` is the default as docs tell it."""
    _tell(name, "text", default if shown is None else shown, about=about, unit=unit)
    return _read(name) or default


def left_by_up(path: Path, *, while_it_runs: bool = False) -> str:
    """What `manage.py up` left in this file of its data folder for other commands beside it; "" without one.

    With `while_it_runs` only what one says that runs now: it holds a lock on the file, which ends with its process,
    however that ends. Where the file system knows no locks, a file that is there is believed.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if while_it_runs and not _is_locked(file.fileno()):
                return ""
            return file.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {type(error).__name__}; {_READABLE_LEFT}") from None


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def secret(name: str, default: str = "", *, about: str = "", shown: str = "") -> str:
    """Like `text`, of a value that nothing may show."""
    _tell(name, "secret", shown, about=about, is_secret=True)
    return _read(name) or default


def secrets(name: str, *, about: str = "") -> tuple[str, ...]:
    """Secrets divided by white space, so that any other character can be part of one."""
    _tell(name, "secrets", "", values="divided by white space", about=about, is_secret=True)
    return tuple(_read(name).split())


def boolean(name: str, default: bool, *, about: str = "") -> bool:
    _tell(name, "true or false", str(default).lower(), about=about)
    value = _read(name).lower()
    if value in ("", "true", "1", "yes", "on"):
        return default if value == "" else True
    if value in ("false", "0", "no", "off"):
        return False
    raise ImproperlyConfigured(f"{name}={_cut(value)} is not a boolean; use true or false")


def integer(name: str, default: int, *, minimum: int, maximum: int, about: str = "", unit: str = "") -> int:
    _tell(name, "whole number", f"{default}", values=f"{minimum} to {maximum}", about=about, unit=unit)
    value = _read(name)
    remedy = f"use a number from {minimum} to {maximum}, or unset it for {default}"
    # int() would take "6_0" for 60, and the digits of every script.
    if value and not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        raise ImproperlyConfigured(f"{name}={_cut(value)} is not a whole number; {remedy}")
    number = int(value) if value else default
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name}={number} is not between {minimum} and {maximum}; {remedy}")
    return number


def choice(name: str, default: str, choices: tuple[str, ...], *, about: str = "") -> str:
    """One of `choices`, in whatever case it is given."""
    _tell(name, "choice", default, values=", ".join(choices), about=about)
    value = _read(name) or default
    for one in choices:
        if value.casefold() == one.casefold():
            return one
    raise ImproperlyConfigured(f"{name}={_cut(value)} must be one of {', '.join(choices)}")


def words(name: str, default: tuple[str, ...] = (), *, about: str = "") -> tuple[str, ...]:
    """A list separated by commas or white space."""
    _tell(name, "list", ", ".join(default), values="divided by commas or blanks", about=about)
    return tuple(_read(name).replace(",", " ").split()) or default


def url(name: str, default: str, *, schemes: tuple[str, ...], about: str = "", shown: str | None = None) -> str:
    """An address, which may hold a password: so it is never shown."""
    values = " or ".join(f"{scheme}://…" for scheme in schemes)
    _tell(name, "address", default if shown is None else shown, values=values, about=about, is_secret=True)
    value = _read(name) or default
    try:
        parts = urlsplit(value)
        _ = parts.scheme == "sqlite" or parts.port  # which raises for what is no number; ":memory:" is no port
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} is not an address; write {values}, with what is special in user and password (such as / # ? [ @) "
            "percent-encoded: %2F for /"
        ) from None
    if parts.scheme not in schemes:
        raise ImproperlyConfigured(f"{name} does not begin with one of {', '.join(schemes)}; write {values}")
    place = parts.path.strip("/")
    if parts.scheme.startswith("redis") and not re.fullmatch(r"[0-9]{0,9}", place):
        raise ImproperlyConfigured(f"{name} must end with the number of a database: {parts.scheme}://HOST:6379/0")
    if parts.scheme.startswith("postgres") and not place:
        raise ImproperlyConfigured(f"{name} names no database; write {parts.scheme}://USER:PASSWORD@HOST:5432/DATABASE")
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parts.query:
        # kombu, unlike redis-py, would otherwise tell its password to whoever answers there.
        value += f"{'&' if parts.query else '?'}ssl_cert_reqs=required"
    return value


def policy(name: str, *, about: str = "") -> Policy:
    """What the policy file states whose path is in `name`; nothing without one."""
    if about:
        declare(name, kind="path", default="", about=about, may_be_in_file=False)
    path = os.environ.get(name, "").strip()
    if not path:
        return Policy()
    # Only with a file: it takes every check and credential kind to judge one.
    from scanner.policy_file import BadPolicy, read_policy  # noqa: PLC0415

    try:
        return read_policy(Path(path).read_text(encoding="utf-8"), name=path)
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}={path} cannot be read: {type(error).__name__}; {_READABLE}") from error
    except BadPolicy as error:
        raise ImproperlyConfigured(f"{name} cannot be used.\n{error}") from None


def networks(name: str, *, about: str = "") -> tuple[Network, ...]:
    """A list of IP ranges (CIDR) or addresses."""
    _tell(name, "IP ranges", "", values="divided by commas or blanks", about=about)
    found: list[Network] = []
    for word in words(name):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ImproperlyConfigured(f"{name}: {word!r} is not an IP range such as 10.0.0.0/8") from None
    return tuple(found)


def site(name: str, default: str, *, about: str) -> str:
    """Where people reach a page of ours: an http(s) address, perhaps with a path, without the slash at its end."""
    values = "https://HOST, https://HOST/PATH"
    _tell(name, "address", default, values=values, about=about)
    value = _read(name) or default
    try:
        parts = urlsplit(value)
        is_plain = (
            parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and "@" not in parts.netloc
        )
    except ValueError:
        is_plain = False
    if not is_plain or parts.query or parts.fragment or not value.isascii() or not value.isprintable() or " " in value:
        raise ImproperlyConfigured(f"{name} is not an address of a page without a query; write {values}")
    return value.rstrip("/")


def domains(name: str, *, about: str) -> frozenset[str]:
    """Domains of mail addresses, in lower case."""
    found = set()
    _tell(name, "mail domains", "", values="divided by commas or blanks", about=about)
    for word in words(name):
        domain = word.removeprefix("@").lower()
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", domain):
            raise ImproperlyConfigured(f"{name}: {word!r} is not a domain such as example.com")
        found.add(domain)
    return frozenset(found)


def time_zone(name: str, default: str, *, about: str) -> str:
    """The name of a time zone in the tz database."""
    _tell(name, "time zone", default, values="Europe/Berlin, Asia/Tokyo …", about=about)
    value = _read(name) or default
    if value not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"{name}={_cut(value)} is not the name of a time zone such as Europe/Berlin")
    return value


def folder(name: str, default: str, *, about: str, shown: str | None = None) -> Path:
    """A folder, as an absolute path: what is meant must not change with where a process was started."""
    _tell(name, "folder", default if shown is None else shown, about=about)
    return Path(_read(name) or default).expanduser().absolute()


def hosts(name: str, *, about: str) -> tuple[str, ...]:
    """Names that a request may have in its Host header, without the port (Django's ALLOWED_HOSTS)."""
    found = words(name, about=about)
    for word in found:
        if word != "*" and not re.fullmatch(rf"\.?{_HOST}|{_ADDRESS}", word):
            raise ImproperlyConfigured(
                f"{name}: {_cut(word)} is not a host name; write credboard.example.com, without scheme and port, or "
                ".example.com for all below it"
            )
    return found


def origins(name: str, *, about: str) -> tuple[str, ...]:
    """Scheme, host and perhaps port of pages, as browsers send them in Origin (Django's CSRF_TRUSTED_ORIGINS)."""
    found = words(name, about=about)
    for word in found:
        if not re.fullmatch(rf"https?://((\*\.)?{_HOST}|{_ADDRESS})(:[0-9]{{1,5}})?", word):
            raise ImproperlyConfigured(
                f"{name}: {_cut(word)} is not an origin; write https://credboard.example.com, without a path"
            )
    return found


def header(name: str, default: str, *, about: str) -> str:
    """The name of a header of requests. Not with "_": servers drop those, since they look like the same with "-"."""
    value = text(name, default, about=about)
    if value and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
        raise ImproperlyConfigured(f"{name}={_cut(value)} is not the name of a header; write one such as X-User")
    return value


def path_prefix(name: str, *, about: str) -> str:
    """The beginning of the paths of all pages, without the slash at its end; "" for none."""
    value = text(name, about=about).rstrip("/")
    if value and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ImproperlyConfigured(f"{name}={_cut(value)} is not a path such as /credboard")
    return value


def host(name: str, *, about: str) -> str:
    """A server's name or address, without scheme and port."""
    value = text(name, about=about)
    if value and not re.fullmatch(rf"{_HOST}\.?|[0-9A-Fa-f:]+", value):
        raise ImproperlyConfigured(f"{name}={_cut(value)} is not a host name; write one without scheme and port")
    return value


#: A host name or IPv4 address, in any case; with "_", which names in container networks have. An IPv6 address.
_HOST: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
_ADDRESS: Final = r"\[[0-9A-Fa-f:.]+\]"
_READABLE_LEFT: Final = "run this as the user of manage.py up, or set CREDBOARD_DATA_DIR to another folder"
_READABLE: Final = "name a text file that Credboard's user may read, or unset it"


def _cut(value: str) -> str:
    """A value in a message: quoted, and not longer than a line."""
    return repr(value if len(value) <= 80 else f"{value[:79]}…")


def _tell(
    name: str, kind: str, default: str, *, about: str, values: str = "", unit: str = "", is_secret: bool = False
) -> None:
    if about:
        declare(name, kind=kind, default=default, about=about, values=values, unit=unit, is_secret=is_secret)


def _read(name: str) -> str:
    """What is in `name`, or in the file that `name`_FILE names; "" for neither."""
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; unset one of them")
    if not path:
        return value
    # The value itself, set under the name of the file by mistake, must not be told: that is no absolute path.
    where = f"{name}_FILE={path}" if path.startswith("/") else f"{name}_FILE"
    try:
        value = Path(path).read_text(encoding="utf-8-sig").strip()  # with or without the mark that Windows begins with
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{where} cannot be read: {type(error).__name__}; {_READABLE}") from None
    if not value:
        # A key that fell back to its default would change, without a word, what it keys.
        raise ImproperlyConfigured(f"{where} is an empty file; put the value into it, or unset it")
    return value
