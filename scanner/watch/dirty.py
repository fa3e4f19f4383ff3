"""Which Namespaces of one cluster changed and wait to be scanned again: how long, and when all of them are.

Pure: every method is told the time, in seconds of a clock that never goes back. What is kept is bounded by `Limits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Dirty", "Due", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, but for the two counts.

    A Namespace is scanned after `quiet` without a further change, but at most `patience` after the first. Then it rests
    for `rest`, which doubles up to `longest_rest` for one that keeps changing. At most `rate` Namespaces a second; when
    more than `most` wait, the whole cluster is scanned in their place, with `whole_rest` between two such scans.
    """

    quiet: float = 0.5
    patience: float = 2.0
    rest: float = 3.0
    longest_rest: float = 30.0
    rate: float = 20.0
    most: int = 100
    whole_rest: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be scanned now. `namespaces` are true for those that came into being, or into what is selected."""

    namespaces: Mapping[str, bool] = field(default_factory=dict)
    whole: bool = False

    def __bool__(self) -> bool:
        return self.whole or bool(self.namespaces)


@dataclass(slots=True)
class _Waiting:
    first: float
    last: float
    appeared: bool = False


class Dirty:
    """Not for several threads at once: whoever shares it holds a lock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: dict[str, _Waiting] = {}
        #: Namespace -> when it was last taken, and how long it rests since.
        self._resting: dict[str, tuple[float, float]] = {}
        self._whole: _Waiting | None = None
        self._flooded = False
        self._whole_not_before = float("-inf")
        self._tokens = limits.rate
        self._counted_at = float("-inf")

    def mark(self, namespace: str, *, now: float, appeared: bool | None = None) -> None:
        """Something changed there. `appeared` is what an event of the Namespace itself says, None for all others."""
        if self._flooded:
            return
        waiting = self._waiting.get(namespace)
        if waiting is None:
            if len(self._waiting) >= self._limits.most:
                self._waiting.clear()
                self._whole, self._flooded = _Waiting(float("-inf"), float("-inf")), True
                return
            waiting = self._waiting[namespace] = _Waiting(now, now)
        waiting.last = now
        if appeared is not None:
            waiting.appeared = appeared

    def mark_whole(self, *, now: float) -> None:
        """Something may have changed anywhere."""
        self._whole = self._whole or _Waiting(now, now)
        self._whole.last = now

    def take(self, *, now: float) -> Due:
        """What is due at `now`, which then no longer waits."""
        self._refill(now)
        whole = self._whole is not None and now >= self._whole_at(self._whole)
        if whole:
            self._whole, self._flooded = None, False
            self._whole_not_before = now + self._limits.whole_rest
        taken: dict[str, bool] = {}
        for name in sorted(self._waiting, key=lambda name: self._waiting[name].first):
            if self._tokens < 1:
                break
            if self._ready_at(name) <= now:
                self._tokens -= 1
                taken[name] = self._waiting.pop(name).appeared
                self._rest(name, now)
        return Due(namespaces=taken, whole=whole)

    def take_all(self) -> Due:
        """Everything that waits, however long: for whoever ends."""
        due = Due(
            namespaces={name: waiting.appeared for name, waiting in self._waiting.items()},
            whole=self._whole is not None,
        )
        self._waiting.clear()
        self._whole, self._flooded = None, False
        return due

    def put_back(self, due: Due, *, now: float) -> None:
        """What was taken could not be asked for: it is due at once."""
        if due.whole:
            self._whole_not_before = now
            self.mark_whole(now=now)
        for name, appeared in due.namespaces.items():
            self._resting.pop(name, None)
            self.mark(name, now=now, appeared=appeared or None)

    def next_at(self) -> float | None:
        """When `take` can have something; None when nothing waits."""
        times = [self._whole_at(self._whole)] if self._whole else []
        if self._waiting:
            short = max(0.0, 1 - self._tokens) / self._limits.rate
            times.append(max(min(map(self._ready_at, self._waiting)), self._counted_at + short))
        return min(times, default=None)

    def _whole_at(self, whole: _Waiting) -> float:
        return max(self._settled_at(whole), self._whole_not_before)

    def _settled_at(self, waiting: _Waiting) -> float:
        return min(waiting.last + self._limits.quiet, waiting.first + self._limits.patience)

    def _ready_at(self, name: str) -> float:
        ready = self._settled_at(self._waiting[name])
        taken_at, rest = self._resting.get(name, (float("-inf"), 0.0))
        return max(ready, taken_at + rest)

    def _rest(self, name: str, now: float) -> None:
        limits = self._limits
        before, rest = self._resting.get(name, (float("-inf"), 0.0))
        keeps_changing = now - before <= rest + limits.patience
        self._resting[name] = (now, min(rest * 2, limits.longest_rest) if keeps_changing else limits.rest)
        if len(self._resting) > 10 * limits.most:
            forgotten = now - limits.longest_rest - limits.patience
            self._resting = {one: times for one, times in self._resting.items() if times[0] > forgotten}

    def _refill(self, now: float) -> None:
        gained = (now - self._counted_at) * self._limits.rate
        self._tokens = min(self._limits.rate, self._tokens + gained)
        self._counted_at = now
