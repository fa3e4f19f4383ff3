"""Watches: which objects change, of which nothing but where they are is read.

Only metadata is asked for (API concepts, "Metadata-only fetches"), without a fallback: a server that cannot leave
values out refuses the watch. A watch starts at the resourceVersion of a list of one item, which costs next to nothing
and misses nothing from there on; bookmarks move it along (API concepts, "Efficient detection of changes").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import msgspec
from urllib3 import BaseHTTPResponse
from urllib3 import exceptions as http

from scanner import raw
from scanner.cluster.errors import (
    Ask,
    ClusterError,
    Forbidden,
    Gone,
    NotFound,
    Secrets,
    Status,
    not_kubernetes,
    refused,
)
from scanner.cluster.exchange import decode
from scanner.cluster.listing import NAMESPACES, PODS, PROFILES, ROLE_BINDINGS, SECRETS, SERVICE_ACCOUNTS, Resource
from scanner.cluster.profiles import are_served
from scanner.cluster.transport import FAILURES, JSON, Transport

#: Metadata and nothing else, of an event of a watch and of a list.
EVENTS_ONLY: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST_ONLY: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

#: What is watched: what a scan reads but for Events, which say nothing that a change of their Pod does not.
WATCHED: Final = {one.name: one for one in (NAMESPACES, SECRETS, SERVICE_ACCOUNTS, PODS, ROLE_BINDINGS, PROFILES)}

_CLUSTER_SCOPED: Final = frozenset({NAMESPACES.name, PROFILES.name})
_AT_ONCE: Final = 64 * 1024
#: Bytes of one event; etcd takes objects of 1.5 MiB, whose metadata is at most as much.
LINE_LIMIT: Final = 8 * 1024 * 1024
#: A Namespace's name is a DNS label (apimachinery `pkg/util/validation`). What is none never gets further.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class _Where(raw.Raw, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Object(raw.Raw, frozen=True, kw_only=True):
    metadata: _Where
    # of a Status
    code: int = 0
    message: str = ""
    reason: str = ""


class _Event(raw.Raw, frozen=True, kw_only=True):
    type: str
    object: _Object


class _ListMeta(raw.Raw, frozen=True, kw_only=True):
    metadata: _Where


_decoder: Final = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class Change:
    """Something changed in `namespace`; `type` is ADDED, MODIFIED or DELETED."""

    type: str
    namespace: str


def version_now(transport: Transport, resource: Resource) -> str:
    """The resourceVersion from which a watch of `resource` misses nothing that changes from now on.

    Raises NotFound for what this cluster does not have.
    """
    ask = resource.ask()
    try:
        body = transport.send(ask, query={"limit": "1"}, accept=LIST_ONLY)
    except ClusterError as error:
        # The path of an API group that is not served is a plain page that is not found.
        unserved = error.status == 404 or (isinstance(error, Forbidden) and not are_served(transport, ask))
        if resource is PROFILES and unserved:
            raise NotFound("This cluster has no Profiles.", status=404) from None
        raise
    version = decode(transport, body, _ListMeta, ask).metadata.resource_version
    if not version:
        raise not_kubernetes(transport.server, ask, "its list has no resourceVersion")
    return version


def open_watch(
    transport: Transport, resource: Resource, *, since: str, seconds: int, silence: float, label_selector: str = ""
) -> Changes:
    """See `Cluster.watch`."""
    ask = Ask(verb="watch", resource=resource.name, api=resource.api)
    query = {
        "watch": "true",
        "resourceVersion": since,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
    }
    if resource.field_selector:
        query["fieldSelector"] = resource.field_selector
    if label_selector:
        query["labelSelector"] = label_selector
    response = transport.stream(ask, query=query, accept=EVENTS_ONLY, silence=silence)
    return Changes(response, transport, ask, since=since)


class Changes:
    """The changes of one open watch, as they come. Use it as a context manager.

    `version` is where the next watch has to start so that nothing is missed, `received` the bytes that came. Ends when
    the server ends the watch, was silent for too long, or `close` was called. While iterating raises Gone when the
    server no longer knows what changed since `since`, and ClusterError when the connection breaks or what comes over it
    is no watch.
    """

    def __init__(self, response: BaseHTTPResponse, transport: Transport, ask: Ask, *, since: str) -> None:
        self.version = since
        self.received = 0
        self._response = response
        self._transport = transport
        self._ask = ask
        self._closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._response.close()

    def close(self) -> None:
        """End the iteration, from whichever thread."""
        self._closing = True
        # It may have ended by itself just now.
        with suppress(OSError, ValueError, RuntimeError):
            self._response.shutdown()

    def __iter__(self) -> Iterator[Change]:
        for line in self._lines():
            event = self._decode(line)
            if event.type == "ERROR":
                raise self._error(event.object)
            where = event.object.metadata
            if event.type != "BOOKMARK":
                name = where.name if self._ask.resource in _CLUSTER_SCOPED else where.namespace
                if _NAME.fullmatch(name):
                    yield Change(event.type, name)
            # Only now: whoever did not take a change gets it again.
            self.version = where.resource_version or self.version

    def _lines(self) -> Iterator[bytes]:
        """Whole lines; half a line at the end is dropped, since its change comes again with the next watch."""
        rest = b""
        while chunk := self._read():
            self.received += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())
            if len(rest) > LINE_LIMIT:
                raise not_kubernetes(self._transport.server, self._ask, "one of its events is too large")

    def _read(self) -> bytes:
        try:
            return self._response.read1(_AT_ONCE)
        except http.ReadTimeoutError:
            # Nothing changed, or the connection is dead without a word: the next watch finds out, and misses nothing.
            return b""
        except FAILURES as failure:
            if self._closing:
                return b""
            raise self._transport.failure(failure, self._ask) from None

    def _decode(self, line: bytes) -> _Event:
        try:
            return _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise not_kubernetes(self._transport.server, self._ask, "what it sent is no event of a watch") from None

    def _error(self, told: _Object) -> Exception:
        if told.code == 410 or told.reason in ("Gone", "Expired"):
            return Gone(f"The API server no longer knows which {self._ask.resource} changed since {self.version}.")
        status = Status(kind="Status", message=told.message, reason=told.reason)
        return refused(
            told.code, msgspec.json.encode(status), ask=self._ask, server=self._transport.server, secrets=Secrets()
        )
