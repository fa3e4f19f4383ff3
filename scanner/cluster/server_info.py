"""What an API server says of itself to whoever asks: its version, and in passing the time on its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from scanner.cluster.errors import printable


class ServerVersion(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to /version (apimachinery `pkg/version/types.go`)."""

    git_version: str = ""
    major: str = ""
    minor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """`version` as it calls itself ("v1.34.1"); `minor` is the number in the middle, None for what is no such version.
    `clock` is what its clock showed when it answered, to the second; None when it did not say."""

    version: str
    minor: int | None
    clock: datetime | None


def server_info(told: ServerVersion, headers: Mapping[str, str]) -> ServerInfo:
    """What /version and its headers say. Vendors add to the minor version ("31+")."""
    digits = told.minor.rstrip("+")
    minor = int(digits) if told.major == "1" and digits.isascii() and digits.isdigit() and len(digits) < 6 else None
    try:
        clock = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        clock = None
    # "-0000" says that the zone is not known (RFC 5322): then it is of no use.
    return ServerInfo(
        version=printable(told.git_version, 60), minor=minor, clock=clock if clock and clock.tzinfo else None
    )
