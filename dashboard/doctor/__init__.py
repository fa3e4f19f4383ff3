"""What is wrong with this installation, and what to do: `manage.py doctor`. One file for each part that it looks at.

Each question has its own time-out, so the whole never waits for more than the sum of those of the parts that are down;
clusters are asked side by side.
No answer holds a secret: addresses are told without user and password, and texts of others only where they are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from dashboard.doctor import broker, clusters, database, machine, post, stored
from dashboard.doctor.advice import Advice, Level

__all__ = ["Advice", "Level", "examine"]

Look = Callable[[datetime], Iterator[Advice]]

#: What is looked at without the database, and what is not asked while that is down.
_ALONE: Final[tuple[Look, ...]] = (machine.look, database.look)
_WITH_DATABASE: Final[tuple[Look, ...]] = (
    stored.look,
    broker.look,
    clusters.look,
    post.look,
)


def examine(*, now: datetime) -> Iterator[Advice]:
    """Everything that was looked at, as it is at `now`, in an order in which to mend it."""
    found: list[Advice] = []
    for look in _ALONE:
        for advice in _asked(look, now):
            found.append(advice)
            yield advice
    if any(one.about == database.ABOUT and one.level is Level.PROBLEM for one in found):
        yield Advice.warning(
            "clusters", "The rest was not looked at.", "Mend the database first: it says which clusters there are."
        )
        yield from broker.look_at_broker()
        return
    for look in _WITH_DATABASE:
        yield from _asked(look, now)


def _asked(look: Look, now: datetime) -> Iterator[Advice]:
    """What `look` says. A setting that it cannot work with is one more thing to mend, and hides no other."""
    try:
        yield from look(now)
    except ImproperlyConfigured as error:
        about = look.__module__.rpartition(".")[2]
        yield Advice.problem(about, f"It cannot be asked: {str(error).rstrip('.')}.", "Correct that setting.")
