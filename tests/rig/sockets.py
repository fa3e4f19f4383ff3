"""What a process asks of its sockets, without changing what they do."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Watched:
    """Where sockets were to be connected, and the time-outs that they were given, in seconds; both in order."""

    tries: list[Any] = field(default_factory=list)
    patience: list[float | None] = field(default_factory=list)


def watch_sockets(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """From now on, until the end of the test."""
    connect, settimeout = socket.socket.connect, socket.socket.settimeout
    seen = Watched()

    def counted(of: socket.socket, address: Any) -> None:
        seen.tries.append(address)
        connect(of, address)

    def told(of: socket.socket, seconds: float | None) -> None:
        seen.patience.append(seconds)
        settimeout(of, seconds)

    monkeypatch.setattr(socket.socket, "connect", counted)
    monkeypatch.setattr(socket.socket, "settimeout", told)
    return seen
