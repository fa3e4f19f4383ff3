"""How often one may ask. Counted in windows of a minute, in Redis, so that all web processes count together.

Redis may be down, and then pages and the API must go on: each process counts for itself until it is back. So the limit
is kept within a factor of the number of processes, which keeps one program from taking everything.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock
from typing import Final

import redis
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

log = logging.getLogger(__name__)

WINDOW: Final = 60  # seconds
#: So many calls a minute from one address may come with a key that is no good.
MOST_FAILURES: Final = 30
#: Seconds for which Redis is not asked again after it did not answer.
DOWN_FOR: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of a limit of `limit` calls a minute; `reset` are the seconds until it is whole again."""

    limit: int
    remaining: int
    reset: int
    is_spent: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has them."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW}',
            "RateLimit": f'"minute";r={self.remaining};t={self.reset}',
        }


class Counter:
    """Counts calls in the shared cache, or, while that does not answer, in the memory of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._down_until = float("-inf")

    def spend(self, who: str, *, limit: int, now: float | None = None) -> Allowance:
        """Count one call of `who`; `is_spent` when it was one too many. `now` is in seconds since 1970."""
        now = time.time() if now is None else now
        window = int(now) // WINDOW
        calls = self._count(f"rate:{who}:{window}")
        reset = max(1, (window + 1) * WINDOW - int(now))
        return Allowance(limit=limit, remaining=max(0, limit - calls), reset=reset, is_spent=calls > limit)

    def _count(self, key: str) -> int:
        if time.monotonic() >= self._down_until:
            try:
                return _increment(caches["shared"], key)
            except (redis.RedisError, OSError) as error:
                # The text of the error may quote the address, which may hold a password.
                log.warning("Redis does not answer (%s): calls are counted by each process alone", type(error).__name__)
                self._down_until = time.monotonic() + DOWN_FOR
        with self._lock:
            return _increment(caches["default"], key)


def _increment(cache: BaseCache, key: str) -> int:
    cache.add(key, 0, timeout=2 * WINDOW)
    try:
        return cache.incr(key)
    except ValueError:  # it was thrown out in between
        cache.set(key, 1, timeout=2 * WINDOW)
        return 1


counter: Final = Counter()


def spend(who: str) -> Allowance:
    """Count one call of a person, with whatever key."""
    return counter.spend(who, limit=settings.API_RATE)


def spend_failure(address: str) -> Allowance:
    """Count one call from `address` with a key that is no good. Good keys from the same address are not held up: behind
    a proxy it is that of many."""
    return counter.spend(f"failed:{address}", limit=MOST_FAILURES)
