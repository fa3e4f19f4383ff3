"""Settings that are no good together, or that Django's own checks cannot know of. Ids are never reused.

Every module of this folder is read. The first words of a check's docstring are its id and what is wrong;
docs/settings.md lists them (`manage.py settingsdocs`). Those about a deployment are asked by `check --deploy` and
`manage.py doctor`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

_MODULES: Final = tuple(import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
#: Every check, in the order of files.
CHECKS: Final[tuple[Any, ...]] = tuple(
    one
    for module in _MODULES
    for one in vars(module).values()
    if callable(one) and (one.__doc__ or "").startswith("dashboard.")
)


def documented() -> Iterator[tuple[str, str]]:
    """Id and meaning of every check, by id."""
    for one in sorted(CHECKS, key=lambda check: str(check.__doc__)):
        key, _, meaning = " ".join(one.__doc__.split()).partition(": ")
        yield key, meaning
