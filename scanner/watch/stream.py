"""One thread for each watched resource of a cluster: opens the watch, reads it, and opens it again, whatever happens.

It keeps nothing but the version to go on from, and never touches the database.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from scanner import cluster as api

__all__ = ["Report", "ResourceWatch", "Timing"]

log = logging.getLogger("scanner.watch")

#: A connection that breaks so often at the same place is not tried there again.
_TRIES_AT_ONE_PLACE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. All but `silence` are shortened by up to half, at random, so that not everybody comes at once.

    A watch lasts for `lifetime`; one that brings nothing for `silence` (the API server sends a bookmark a minute) is
    opened again. After failures it waits `back_off`, doubled up to `longest_back_off`; after a refusal `refused`; and
    where the cluster does not have the resource, `absent`. A connection that cannot be made, or whose credentials are
    refused, is made anew every `connect_again`.
    """

    lifetime: int = 300
    silence: float = 90
    back_off: float = 1
    longest_back_off: float = 60
    refused: float = 300
    absent: float = 900
    connect_again: float = 30
    #: A watch that ends sooner than this and brought nothing counts as failed.
    shortest: float = 5
    #: No more than this of what a Retry-After asks for.
    longest_wait: float = 600


class Report(Protocol):
    """What a watch tells; the methods are called from its thread, and must return at once."""

    def connection(self) -> api.Cluster | None: ...
    def changed(self, resource: str, change: api.Change) -> None: ...
    def missed(self) -> None: ...
    def refused(self) -> None: ...


class ResourceWatch(threading.Thread):
    """Watches `resource` (of `cluster.WATCHED`) until `end` is called.

    `report.connection()` is asked for a connection, None while there is none. `report.missed()` says that changes may
    have been missed: a watch has just begun that does not go on from an earlier one. `report.refused()` says that the
    connection's credentials were not accepted.
    """

    def __init__(
        self,
        resource: str,
        report: Report,
        *,
        cluster: str,
        timing: Timing,
        label_selector: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(name=f"watch {resource} of {cluster}", daemon=True)
        self.resource = resource
        self.received = 0
        self._report = report
        self._cluster = cluster
        self._timing = timing
        self._label_selector = label_selector
        self._chance = chance
        self._ending = threading.Event()
        self._open: api.Changes | None = None
        self._version = ""
        self._failures = 0
        self._stumbles = 0
        self._told = ""

    def end(self) -> None:
        """Ask the thread to end; it does so within a moment, or when an answer comes that it waits for."""
        self._ending.set()
        opened = self._open
        if opened is not None:
            opened.close()

    def run(self) -> None:
        while not self._ending.is_set():
            self._ending.wait(self._once())

    def _once(self) -> float:
        """Open a watch and read it to its end. Returns the seconds to wait before the next one."""
        try:
            connection = self._report.connection()
            if connection is None:
                return self._jittered(self._timing.back_off)
            return self._read(connection)
        except api.Gone:
            # The version is older than what the API server remembers: the next watch starts anew, and says so.
            self._version = ""
            return self._again_after_failure()
        except api.NotFound as error:
            self._version = ""
            # Without Kubeflow there are no Profiles, and nothing is amiss.
            if self.resource != "profiles":
                self._tell(error, "Cannot be watched, so its changes are found by the next scan of the cluster")
            return self._jittered(self._timing.absent)
        except api.Forbidden as error:
            self._tell(error, "May not be watched, so its changes are found by the next scan of the cluster")
            return self._jittered(self._timing.refused)
        except api.ClusterError as error:
            self._tell(error, "Not watched for now, so changes are found by the next scan of the cluster")
            return self._after(error)
        except Exception:
            # A thread that ends without a word would leave its resource unwatched until somebody restarts us.
            log.exception("%s, %s: the watch failed and is opened again", self._cluster, self.resource)
            self._version = ""
            return self._again_after_failure()

    def _read(self, connection: api.Cluster) -> float:
        fresh = not self._version
        if fresh:
            self._version = connection.version_now(self.resource)
        began, before = time.monotonic(), self._version
        lifetime = max(1, round(self._jittered(self._timing.lifetime)))
        with connection.watch(
            self.resource,
            since=self._version,
            seconds=lifetime,
            silence=self._timing.silence,
            label_selector=self._label_selector if self.resource == "namespaces" else "",
        ) as changes:
            self._open = changes
            if self._ending.is_set():
                return 0
            try:
                self._tell_well()
                if fresh:
                    self._report.missed()
                for change in changes:
                    self._report.changed(self.resource, change)
            finally:
                self._open = None
                self.received += changes.received
                self._version = changes.version
                if changes.version != before:
                    self._failures = self._stumbles = 0
        if time.monotonic() - began < self._timing.shortest and self._version == before:
            # Something in between ends watches at once: without a pause we would do nothing but ask.
            return self._again_after_failure()
        self._failures = self._stumbles = 0
        return 0

    def _after(self, error: api.ClusterError) -> float:
        if isinstance(error, api.Unauthenticated):
            self._report.refused()
        if isinstance(error, api.Unavailable) and error.kind == "body":
            self._stumbles += 1
            if self._stumbles >= _TRIES_AT_ONE_PLACE:
                self._version, self._stumbles = "", 0
        asked = error.retry_after if isinstance(error, api.Throttled) and error.retry_after is not None else 0.0
        return max(min(asked, self._timing.longest_wait), self._again_after_failure())

    def _again_after_failure(self) -> float:
        wait = min(self._timing.longest_back_off, self._timing.back_off * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return self._jittered(wait)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 - self._chance() / 2)

    def _tell(self, error: api.ClusterError, what: str) -> None:
        """Once, until something else is wrong or it works again."""
        if self._told != str(error) and not self._ending.is_set():
            self._told = str(error)
            remedy = f"\n{error.remedy}" if error.remedy else ""
            log.warning("%s, %s: %s. %s%s", self._cluster, self.resource, what, error, remedy)

    def _tell_well(self) -> None:
        if self._told:
            log.warning("%s, %s: watched again", self._cluster, self.resource)
            self._told = ""
