"""One object asked for and decoded, for whatever needs no list."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from scanner.cluster.errors import Ask, not_kubernetes
from scanner.cluster.transport import JSON, Transport

S = TypeVar("S")


def get(transport: Transport, ask: Ask, type: type[S], *, accept: str = JSON) -> S:
    """What `ask` is about. Raises ClusterError."""
    return decode(transport, transport.send(ask, accept=accept), type, ask)


def decode(transport: Transport, body: bytes, type: type[S], ask: Ask) -> S:
    """An answer to `ask` as `type`. Raises Unavailable ("body") for anything else."""
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's words may quote what it read.
        raise not_kubernetes(transport.server, ask, "what it sent is not what was asked for") from None
