"""What a line of the log is about: the request, task and scan under way, each by its id. Formatters add them.

Held in context variables, so that threads and tasks do not see each other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Final

NAMES: Final = ("request_id", "task_id", "scan_id")

_held: Final = {name: ContextVar(name, default="") for name in NAMES}


def ids() -> dict[str, str]:
    """The ids that are known here and now, by their names in `NAMES`."""
    return {name: value for name, variable in _held.items() if (value := variable.get())}


def hold(name: str, value: object) -> Token[str]:
    """Have `value` told as `name`, until `release` is called with what this returns."""
    return _held[name].set(str(value))


def release(name: str, token: Token[str]) -> None:
    """Undo `hold`, in the same context."""
    _held[name].reset(token)


@contextmanager
def about(name: str, value: object) -> Iterator[None]:
    """Have lines that are logged within tell `value` as `name`."""
    token = hold(name, value)
    try:
        yield
    finally:
        release(name, token)
