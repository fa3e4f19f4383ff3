"""All watches of one cluster, its connection, and the register of what changed in it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scanner import cluster as api
from scanner.models import Cluster
from scanner.scan import connect, is_selected
from scanner.watch.dirty import Dirty, Limits
from scanner.watch.stream import ResourceWatch, Timing

__all__ = ["Group"]

log = logging.getLogger("scanner.watch")

#: Of the events of Namespaces themselves.
_APPEARS: Final = {"ADDED": True, "MODIFIED": True, "DELETED": False}


class Group:
    """`dirty` is only touched while holding `changed`, which is told of every change.

    `connect` reads the database, so the thread of the `Watcher` calls it; those of the watches call the methods
    of `stream.Report`.
    """

    def __init__(self, cluster: Cluster, *, changed: threading.Condition, limits: Limits, timing: Timing) -> None:
        self.pk = cluster.pk
        self.name = cluster.name
        self.dirty = Dirty(limits)
        self._cluster = cluster
        self._changed = changed
        self._connection: api.Cluster | None = None
        self._was_refused = False
        self._connect_at = 0.0
        self._connect_again = timing.connect_again
        self._told = ""
        self._watches = [
            ResourceWatch(resource, self, cluster=cluster.name, timing=timing, label_selector=cluster.label_selector)
            for resource in api.WATCHED
        ]

    def is_for(self, cluster: Cluster) -> bool:
        """False when `cluster` is reached in another way by now, or other Namespaces of it are scanned."""
        return cluster.watched_as() == self._cluster.watched_as()

    @property
    def received(self) -> int:
        """Bytes that came over watches that have ended by now."""
        return sum(watch.received for watch in self._watches)

    def start(self) -> None:
        for watch in self._watches:
            watch.start()

    def ask_to_end(self) -> None:
        """Without waiting for it."""
        for watch in self._watches:
            watch.end()

    def end(self, *, within: float) -> None:
        """End all threads, waiting for at most `within` seconds in all."""
        self.ask_to_end()
        deadline = time.monotonic() + within
        for watch in self._watches:
            watch.join(max(0.0, deadline - time.monotonic()))
        if self._connection is not None:
            self._connection.close()

    def wants_connection(self, *, now: float) -> bool:
        return (self._connection is None or self._was_refused) and now >= self._connect_at

    def connect(self) -> None:
        """Connect with the kubeconfig as it is now: a token or certificate in it may be another one by now."""
        self._connect_at = time.monotonic() + self._connect_again
        try:
            made = connect(self._cluster)
        except api.ClusterError as error:
            if self._told != str(error):
                self._told = str(error)
                log.warning("%s is not watched: %s%s", self.name, error, f"\n{error.remedy}" if error.remedy else "")
            return
        before, self._told = self._connection, ""
        self._connection, self._was_refused = made, False
        if before is not None:
            # Of its connections only the idle ones: a watch that goes on over one of them is not disturbed.
            before.close()

    # What the threads of the watches call

    def connection(self) -> api.Cluster | None:
        return self._connection

    def changed(self, resource: str, change: api.Change) -> None:
        cluster = self._cluster
        if not is_selected(change.namespace, cluster.include, cluster.exclude):
            return
        appeared = _APPEARS.get(change.type) if resource == "namespaces" else None
        with self._sooner():
            if appeared is False and cluster.label_selector:
                # It may be there, with other labels: only a scan of the cluster takes it out of what is shown.
                self.dirty.mark_whole(now=time.monotonic())
            self.dirty.mark(change.namespace, now=time.monotonic(), appeared=appeared)

    def missed(self) -> None:
        with self._sooner():
            self.dirty.mark_whole(now=time.monotonic())

    def refused(self) -> None:
        with self._changed:
            self._was_refused = True
            self._changed.notify_all()

    @contextmanager
    def _sooner(self) -> Iterator[None]:
        """Wake the thread of the `Watcher` if it is to do something sooner than before: not at each of many changes."""
        with self._changed:
            before = self.dirty.next_at()
            yield
            after = self.dirty.next_at()
            if after is not None and (before is None or after < before):
                self._changed.notify_all()
