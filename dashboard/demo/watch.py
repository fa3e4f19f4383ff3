"""The stream of one watch: changes of a resource as JSON lines (apiserver pkg/endpoints/handlers/watch.go)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from dashboard.demo.resources import Resource, find
from dashboard.demo.selectors import field_selector, label_selector
from dashboard.demo.status import ApiError, Json
from dashboard.demo.store import Change, Store
from dashboard.demo.wire import WatchCall

__all__ = ["open_watch"]

_DEFAULT_SECONDS = 1800.0
Lines = AsyncIterator[bytes]


def open_watch(store: Store, call: WatchCall, closing: asyncio.Event) -> Lines:
    """The lines of a watch, until its `timeoutSeconds` or until the server closes. Raises ApiError 400 at once for
    parameters it cannot read.
    """
    target, query = call.target, call.query
    resource = find(target.group, target.version, target.resource)
    if resource is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource", {})
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    tests = ([label_selector(labels)] if labels else []) + ([field_selector(fields, resource)] if fields else [])
    namespace = target.namespace if resource.namespaced else ""

    def matches(document: Json | None) -> bool:
        if document is None:
            return False
        metadata = document["metadata"]
        in_scope = (not namespace or metadata.get("namespace") == namespace) and (
            not target.name or metadata["name"] == target.name
        )
        return in_scope and all(test(document) for test in tests)

    for name in ("resourceVersion", "timeoutSeconds"):
        if not query.get(name, "0").isdecimal() and query.get(name):
            raise ApiError.bad_request(f"invalid {name}: it must be a whole number")
    return _lines(store, resource, call, matches, closing)


async def _lines(
    store: Store, resource: Resource, call: WatchCall, matches: Callable[[Json | None], bool], closing: asyncio.Event
) -> Lines:
    query = call.query
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def notice(_change: Change) -> None:
        loop.call_soon_threadsafe(changed.set)

    stop = store.listen(notice)
    ends_at = loop.time() + (float(query.get("timeoutSeconds") or 0) or _DEFAULT_SECONDS)
    revision = int(query.get("resourceVersion") or 0)
    bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
    try:
        if not revision or query.get("sendInitialEvents") == "true":
            with store.lock:
                revision = store.revision
                present = [document for document in store.all(resource) if matches(document)]
            if query.get("sendInitialEvents") != "false":
                for document in present:
                    yield _line("ADDED", _metadata_of(document) if call.metadata_only else document)
            if query.get("sendInitialEvents") == "true" and bookmarks:
                yield _bookmark(resource, revision, {"k8s.io/initial-events-end": "true"})
        while not closing.is_set() and (left := ends_at - loop.time()) > 0:
            changed.clear()
            try:
                changes = store.changes_since(revision, resource)
            except ApiError as error:
                yield _line("ERROR", error.body)
                return
            for change in changes:
                revision = change.revision
                event = _event(change, matches)
                if event is not None:
                    yield _line(event[0], _metadata_of(event[1]) if call.metadata_only else event[1])
            waiting = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(closing.wait())]
            try:
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
        if bookmarks:
            yield _bookmark(resource, revision, {})
    finally:
        stop()


def _event(change: Change, matches: Callable[[Json | None], bool]) -> tuple[str, Json] | None:
    """A change seen through a selector: an object that starts to match is ADDED, one that no longer does is DELETED."""
    was, now = matches(change.before), matches(change.after)
    if now and change.after is not None:
        return "MODIFIED" if was else "ADDED", change.after
    if was and change.before is not None:
        revision = {"metadata": change.before["metadata"] | {"resourceVersion": str(change.revision)}}
        return "DELETED", change.before | revision
    return None


def _metadata_of(document: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}


def _bookmark(resource: Resource, revision: int, annotations: dict[str, str]) -> bytes:
    metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return _line("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata})


def _line(kind: str, document: Json) -> bytes:
    return msgspec.json.encode({"type": kind, "object": document}) + b"\n"
