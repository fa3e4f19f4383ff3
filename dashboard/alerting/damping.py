"""Which changes of a cell are news to a route: trouble, its end, or that the cell cannot make up its mind.

Pure: what a route was told about a cell, and a change, make what it is told now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from scanner.check import Status, rank

#: A cell that changes so often within so long is flapping …
FLAPS: Final = 3
WITHIN: Final = timedelta(hours=1)
#: … until it has not changed for so long.
CALM: Final = timedelta(hours=1)

EXPIRING: Final = "expiring"


class News(StrEnum):
    """What a message is about. Stored, so the values stay."""

    TROUBLE = "trouble"
    FLAPPING = "flapping"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a route wants to hear of. `expiring`: credentials that are about to end as well, critical or not yet."""

    severities: frozenset[str]
    recovery: bool = True
    expiring: bool = True

    def is_trouble(self, status: str, reason: str) -> bool:
        if reason == EXPIRING:
            return self.expiring
        return status in self.severities


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a route was last told about a cell. `status` and `reason` are those of the trouble; while `is_flapping`,
    those that the cell had at its last change, at `changed_at`. A cell without one of these is well, as far as the
    route knows."""

    status: str
    reason: str
    changed_at: datetime
    is_flapping: bool = False


def heard(
    told: Told | None,
    *,
    status: str,
    reason: str,
    at: datetime,
    changes: int,
    wishes: Wishes,
    is_silent: bool = False,
) -> tuple[Told | None, News | None]:
    """What the route knows after a change of a cell, and what it is told of it: None when that is no news.

    `status` ("" when nothing needs the credential any more) and `reason` are those after the change at `at`; `changes`
    is how often the cell changed in the hour (`WITHIN`) up to then, this one counted. `is_silent`: someone knows
    already (acknowledged or snoozed), so nothing is told.
    """
    is_trouble = wishes.is_trouble(status, reason)
    # A cell that Credboard may not look at has not recovered.
    is_blind = status == Status.UNKNOWN and not is_trouble
    if told is not None and told.is_flapping:
        # In silence too: how it ended up is not told yet.
        if is_silent or at - told.changed_at < CALM:
            return replace(told, status=status, reason=reason, changed_at=at), None
        told = replace(told, is_flapping=False)
    if is_silent:
        return (told if is_trouble or is_blind else None), None
    if changes >= FLAPS and (told is not None or is_trouble):
        return Told(status=status, reason=reason, changed_at=at, is_flapping=True), News.FLAPPING
    if is_trouble:
        if told is not None and (told.status, told.reason) == (status, reason):
            return told, None
        return Told(status=status, reason=reason, changed_at=at), News.TROUBLE
    if is_blind or told is None or _is_no_better(told, status):
        return told, None
    return None, (News.RECOVERY if wishes.recovery else None)


def _is_no_better(told: Told, status: str) -> bool:
    """A credential that was about to end and has ended, or a warning that turned critical, has not recovered, though
    the route did not ask for what it is now."""
    return bool(status and told.status) and status != Status.OK and rank(Status(status)) >= rank(Status(told.status))


def calmed(told: Told, *, wishes: Wishes, now: datetime, is_silent: bool = False) -> tuple[Told | None, News | None]:
    """As `heard`, of a flapping cell that did not change: how it ended up, once that is so for an hour (`CALM`)."""
    if not told.is_flapping or now - told.changed_at < CALM:
        return told, None
    if wishes.is_trouble(told.status, told.reason) or told.status == Status.UNKNOWN:
        # Also one that cannot be seen: "flapping" was the last word, and "well" would not be true.
        # When somebody has seen to it, that waits until the silence ends.
        return (told, None) if is_silent else (replace(told, is_flapping=False), News.TROUBLE)
    return None, (News.RECOVERY if wishes.recovery and not is_silent else None)
