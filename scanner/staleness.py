"""How long what a scan saw can be believed."""

from __future__ import annotations

from datetime import datetime, timedelta


def is_stale(seen_at: datetime | None, *, now: datetime, after: timedelta) -> bool:
    """Whether nobody can say any more at `now` that what was seen at `seen_at` (None: never) still is so.

    `after` lies between: two machines need not agree to the second. What was seen further in time to come was seen by a
    clock that ran ahead and was set back, so nobody knows when.
    """
    return seen_at is None or not now - after <= seen_at <= now + after
