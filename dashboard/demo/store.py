"""The objects of the demo cluster: one revision counter, ordered by etcd key, with consistent paging and a log of
changes.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dashboard.demo.resources import Resource
from dashboard.demo.status import ApiError, Json

__all__ = ["Change", "Page", "Store", "etcd_key"]

_SNAPSHOTS: Final = 64
_CHANGES: Final = 20_000
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided "
    "token results in an inconsistent list - objects that were created, modified, or deleted between the time "
    "the first chunk was "
    "returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the watch log. `before` is None for ADDED; `after` is None for DELETED."""

    revision: int
    resource: Resource
    before: Json | None
    after: Json | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a LIST. `continue_token` is "" on the last one; `remaining` is None where a selector hides it."""

    items: list[Json]
    revision: int
    continue_token: str
    remaining: int | None


def etcd_key(document: Json) -> str:
    """`namespace/name`, or the name of a cluster-scoped object: a real server lists in the byte order of this."""
    metadata = document["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


class _Table:
    """Objects of one resource. Keys are ASCII, so the order of str is the order of bytes."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.objects: dict[str, Json] = {}


class Store:
    """Objects are never changed in place: a write replaces the dict, so a page or a snapshot may hold on to it.

    Every public method may be called from any thread. Listeners run inside the lock and must not block.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 1000
        self._tables: dict[Resource, _Table] = {}
        self._snapshots: OrderedDict[tuple[Resource, int], list[tuple[str, Json]]] = OrderedDict()
        self._changes: deque[Change] = deque(maxlen=_CHANGES)
        self._listeners: list[Callable[[Change], None]] = []
        self.oldest_change = self.revision

    def _table(self, resource: Resource) -> _Table:
        return self._tables.setdefault(resource, _Table())

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        with self.lock:
            return self._table(resource).objects.get(f"{namespace}/{name}" if namespace else name)

    def put(self, resource: Resource, document: Json) -> Json:
        """Store (create or replace) under a new resourceVersion, and return what was stored."""
        with self.lock:
            self.revision += 1
            document = document | {"metadata": document["metadata"] | {"resourceVersion": str(self.revision)}}
            table, key = self._table(resource), etcd_key(document)
            before = table.objects.get(key)
            if before is None:
                insort(table.keys, key)
            table.objects[key] = document
            self._record(Change(self.revision, resource, before, document))
            return document

    def remove(self, resource: Resource, document: Json) -> Json:
        """Delete, and return the object as it was, with the resourceVersion of its deletion."""
        with self.lock:
            self.revision += 1
            table, key = self._table(resource), etcd_key(document)
            last = table.objects.pop(key)
            del table.keys[bisect_left(table.keys, key)]
            last = last | {"metadata": last["metadata"] | {"resourceVersion": str(self.revision)}}
            self._record(Change(self.revision, resource, last, None))
            return last

    def all(self, resource: Resource, namespace: str = "") -> list[Json]:
        """Every object of a resource (of one namespace), in order."""
        with self.lock:
            return [document for _, document in self._rows(resource, namespace)]

    def _rows(self, resource: Resource, namespace: str) -> list[tuple[str, Json]]:
        table = self._table(resource)
        keys: Sequence[str] = table.keys
        if namespace:
            # "0" is the character after "/", so this is the end of the prefix.
            keys = keys[bisect_left(keys, f"{namespace}/") : bisect_left(keys, f"{namespace}0")]
        return [(key, table.objects[key]) for key in keys]

    def page(
        self,
        resource: Resource,
        namespace: str,
        *,
        matches: Callable[[Json], bool] | None = None,
        limit: int = 0,
        continue_token: str = "",
    ) -> Page:
        """One page of a LIST, always of the state at the first page.

        Raises ApiError 400 for a token that is none, 410 for one whose snapshot is gone.
        """
        with self.lock:
            revision, start = self.revision, ""
            if continue_token:
                revision, start = _decode(continue_token)
            if not continue_token or revision == -1:
                revision = self.revision
                rows = self._rows(resource, "")
            elif (resource, revision) in self._snapshots:
                rows = self._snapshots[resource, revision]
                self._snapshots.move_to_end((resource, revision))
            else:
                error = ApiError.expired(_TOO_OLD)
                error.continue_token = _encode(-1, start)
                raise error
            window = [row for row in rows if row[0].startswith(f"{namespace}/")] if namespace else rows
            window = window[bisect_left(window, start, key=lambda row: row[0]) :]
            items: list[Json] = []
            for at, (_, document) in enumerate(window):
                if limit and len(items) == limit:
                    self._keep(resource, revision, rows)
                    remaining = None if matches else len(window) - at
                    return Page(items, revision, _encode(revision, window[at - 1][0] + "\0"), remaining)
                if matches is None or matches(document):
                    items.append(document)
            return Page(items, revision, "", None)

    def _keep(self, resource: Resource, revision: int, rows: list[tuple[str, Json]]) -> None:
        self._snapshots[resource, revision] = rows
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def forget_snapshots(self) -> None:
        """Let every continue token given so far expire, as compaction does after five minutes."""
        with self.lock:
            self._snapshots.clear()

    def changes_since(self, revision: int, resource: Resource) -> list[Change]:
        """The changes of a resource after a revision. Raises ApiError 410 where the log no longer reaches back."""
        with self.lock:
            if revision < self.oldest_change:
                raise ApiError.expired(f"too old resource version: {revision} ({self.oldest_change})")
            found: list[Change] = []
            for change in reversed(self._changes):
                if change.revision <= revision:
                    break
                if change.resource is resource:
                    found.append(change)
            return found[::-1]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener at every change; the returned function ends that."""
        with self.lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self.lock:
                self._listeners.remove(listener)

        return stop

    def _record(self, change: Change) -> None:
        if len(self._changes) == _CHANGES:
            self.oldest_change = self._changes[0].revision
        self._changes.append(change)
        for listener in list(self._listeners):
            listener(change)


def _encode(revision: int, start: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str) -> tuple[int, str]:
    try:
        document = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        revision, start = int(document["rv"]), str(document["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise ApiError.bad_request(f"invalid continue token: continue key is not valid: {_reason(error)}") from error
    if document.get("v") != "meta.k8s.io/v1":
        raise ApiError.bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    if not revision or not start:
        raise ApiError.bad_request(
            "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion "
            "(version meta.k8s.io/v1)"
        )
    return revision, start


def _reason(error: Exception) -> str:
    return "illegal base64 data" if isinstance(error, binascii.Error) else "it does not hold a position in a list"
