"""Optional: has Namespaces scanned again as soon as something changes in them, rather than at the next interval.

Watching only makes scans sooner; it judges nothing, keeps no objects, and what it misses the next scan of the cluster
finds. One process watches all clusters: a thread for each watched resource (`stream`), one register of what changed for
each cluster (`dirty`), and the thread that runs `Watcher.run`, the only one that touches the database. Two such
processes do no harm: what is due is an UPDATE of rows that are not yet due, and is claimed like any other scan.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from scanner.models import Cluster, Namespace
from scanner.scan import tell_dispatcher
from scanner.watch.dirty import Due, Limits
from scanner.watch.group import Group
from scanner.watch.stream import Timing

__all__ = ["Limits", "Timing", "Watcher", "request"]

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds between two looks at which clusters there are, and how long after a failure the database is asked again.
LOOK_EVERY: Final = 10.0
DATABASE_AGAIN: Final = 5.0
#: So long at most between two turns, however quiet it is.
TURN: Final = 2.0
#: For all threads to end; whoever still waits for an API server then ends with the process.
END_WITHIN: Final = 3.0


class Watcher:
    """Watches every cluster that is scanned, until `stop` is called. `turned` is called at every turn of the loop."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        timing: Timing | None = None,
        look_every: float = LOOK_EVERY,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits, self._timing = limits or Limits(), timing or Timing()
        self._look_every = look_every
        self._turned = turned
        # Held for moments only. It may be taken again by the same thread, since `stop` is called by signal handlers.
        self._changed = threading.Condition(threading.RLock())
        self._groups: dict[int, Group] = {}
        self._stopping = False
        self._look_at = 0.0
        self._database_again_at = 0.0
        self._database_is_down = False

    def stop(self) -> None:
        """Have `run` return soon. From any thread, or a signal handler."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def received(self) -> int:
        """Bytes that came over watches that have ended by now."""
        return sum(group.received for group in self._groups.values())

    def run(self) -> None:
        """Watch until `stop` is called. What has changed until then is due when it returns."""
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._end()

    def _turn(self) -> None:
        self._turned()
        now = time.monotonic()
        if now >= self._look_at and now >= self._database_again_at:
            self._look_at = now + self._look_every
            self._database(self._look, nothing=None)
        for group in self._groups.values():
            if group.wants_connection(now=time.monotonic()):
                self._database(group.connect, nothing=None)
        if time.monotonic() >= self._database_again_at:
            for group in self._groups.values():
                self._request(group)
        with self._changed:
            if not self._stopping:
                self._changed.wait(self._pause())

    def _pause(self) -> float:
        """Seconds until there is something to do. A change that comes meanwhile ends the wait."""
        now = time.monotonic()
        times = [at for group in self._groups.values() if (at := group.dirty.next_at()) is not None]
        asked_at = max(min((*times, self._look_at)), self._database_again_at)
        return max(0.01, min(asked_at - now, TURN))

    def _look(self) -> None:
        """Begin with clusters that are new, end with those that are gone, begin anew with those that are changed."""
        found = {cluster.pk: cluster for cluster in Cluster.objects.watched()}
        for pk, group in list(self._groups.items()):
            if pk not in found or not group.is_for(found[pk]):
                del self._groups[pk]
                group.end(within=END_WITHIN)
                log.info("%s is no longer watched", group.name)
        for pk in found.keys() - self._groups.keys():
            group = Group(found[pk], changed=self._changed, limits=self._limits, timing=self._timing)
            group.connect()
            group.start()
            self._groups[pk] = group
            log.info("%s is watched", found[pk])

    def _request(self, group: Group) -> None:
        with self._changed:
            due = group.dirty.take(now=time.monotonic())
        if due and self._database(lambda: request(group.pk, due), nothing=None) is None:
            with self._changed:
                group.dirty.put_back(due, now=self._database_again_at)

    def _database(self, ask: Callable[[], T], *, nothing: T) -> T:
        """What `ask` returns; `nothing` when the database does not answer, which is said once."""
        try:
            close_old_connections()
            answer = ask()
        except (DatabaseError, InterfaceError) as error:
            self._database_again_at = time.monotonic() + DATABASE_AGAIN
            connection.close()
            if not self._database_is_down:
                log.warning(
                    "The database does not answer (%s); what changes is kept until it does", type(error).__name__
                )
            self._database_is_down = True
            return nothing
        if self._database_is_down:
            log.warning("The database answers again")
            self._database_is_down = False
        return answer

    def _end(self) -> None:
        groups = list(self._groups.values())
        for group in groups:
            group.ask_to_end()
        deadline = time.monotonic() + END_WITHIN
        for group in groups:
            group.end(within=max(0.0, deadline - time.monotonic()))
            with self._changed:
                due = group.dirty.take_all()
            if due:
                self._database(lambda group=group, due=due: request(group.pk, due), nothing=None)  # type: ignore[misc]


def request(cluster: int, due: Due) -> int:
    """Make what changed in the cluster with the key `cluster` due, and tell a worker so. How many rows became due."""
    now = timezone.now()
    changed = Cluster.objects.keyed(cluster).hurry(now=now) if due.whole else 0
    appeared = [name for name, is_new in due.namespaces.items() if is_new]
    if appeared:
        Namespace.objects.appear(cluster, appeared)
    if due.namespaces:
        changed += Namespace.objects.of_clusters([cluster]).named(list(due.namespaces)).hurry(now=now)
    if changed:
        log.debug("%d due in cluster %d: %s", changed, cluster, ", ".join(due.namespaces) or "all of it")
        tell_dispatcher()
    return changed
