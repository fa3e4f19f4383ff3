"""Paged lists of one resource, and how several of them are taken apart Namespace by Namespace in bounded memory.

The API server lists a namespaced resource in the order of its keys in etcd, `namespace + "/" + name`, and
cluster-scoped ones by name: so the objects of `aa-b` come before those of `aa`, while the Namespace `aa` comes before
`aa-b`. Sources: API concepts, "Retrieving large results sets in chunks"; apiserver
`pkg/registry/generic/registry/store.go` (NamespaceKeyFunc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import msgspec

from scanner import raw
from scanner.cluster.errors import Ask, Gone, not_kubernetes
from scanner.cluster.transport import TooLarge, Transport

PAGE_SIZE: Final = 500
#: Objects of a page that is taken however many bytes it has. etcd holds none of more than 1.5 MiB.
FEWEST: Final = 5
#: Bytes of a page. A larger one is asked for again with fewer objects: whoever may create Secrets in one Namespace can
#: fill a page with half a gigabyte, and a worker that dies of it would scan nothing of the cluster any more.
LARGEST_PAGE: Final = 32 * 1024 * 1024
#: Bytes of all objects of one resource in one Namespace, which are held together. More are not read.
LARGEST_NAMESPACE: Final = 256 * 1024 * 1024

#: A list whose pages expire again and again gets nowhere: so many 410 without anything new in between end it.
_EXPIRIES: Final = 3


class _HasMetadata(raw.Raw, frozen=True, kw_only=True):
    metadata: raw.ObjectMeta


class _JustNames(raw.Raw, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""


class _Nameable(raw.Raw, frozen=True, kw_only=True):
    metadata: _JustNames


class _ListMeta(raw.Raw, frozen=True, kw_only=True):
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


T = TypeVar("T", bound=_HasMetadata | raw.Raw)


class _Wire(raw.Raw, Generic[T], frozen=True, kw_only=True):
    kind: str
    metadata: _ListMeta
    items: list[T] | None = None


class ProfileSpec(raw.Raw, frozen=True, kw_only=True):
    owner: raw.Subject | None = None


class Profile(raw.Raw, frozen=True, kw_only=True):
    """Kubeflow's Profile: a Namespace of its name, and whose it is."""

    metadata: raw.ObjectMeta
    spec: ProfileSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What one list asks for and how its items are decoded. `api` is group/version, "" for the core;
    `field_selector` leaves out what a scan never reads."""

    name: str
    kind: str
    type: type[Any]
    api: str = ""
    field_selector: str = ""
    decoder: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", msgspec.json.Decoder(_Wire[self.type]))  # type: ignore[name-defined]

    def ask(self, namespace: str = "") -> Ask:
        return Ask(verb="list", resource=self.name, api=self.api, namespace=namespace)


NAMESPACES: Final = Resource(name="namespaces", kind="Namespace", type=raw.Namespace)
PROFILES: Final = Resource(name="profiles", kind="Profile", type=Profile, api="kubeflow.org/v1")
SECRETS: Final = Resource(
    # Helm keeps up to a megabyte a release in Secrets that no workload uses.
    name="secrets",
    kind="Secret",
    type=raw.Secret,
    field_selector="type!=helm.sh/release.v1",
)
SERVICE_ACCOUNTS: Final = Resource(name="serviceaccounts", kind="ServiceAccount", type=raw.ServiceAccount)
PODS: Final = Resource(name="pods", kind="Pod", type=raw.Pod)
EVENTS: Final = Resource(
    name="events", kind="Event", type=raw.Event, field_selector="type=Warning,involvedObject.kind=Pod"
)
ROLE_BINDINGS: Final = Resource(
    name="rolebindings", kind="RoleBinding", type=raw.RoleBinding, api="rbac.authorization.k8s.io/v1"
)

#: What is read of each Namespace, by the field of `raw.NamespaceObjects` that it fills.
NAMESPACED: Final[Mapping[str, Resource]] = {
    "secrets": SECRETS,
    "service_accounts": SERVICE_ACCOUNTS,
    "pods": PODS,
    "events": EVENTS,
    "role_bindings": ROLE_BINDINGS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items in the server's order; `broken` are (namespace, name) of those that could not be decoded; `size` is in
    bytes, as they were sent."""

    items: list[Any]
    broken: list[tuple[str, str]] = field(default_factory=list)
    next: str = ""
    remaining: int | None = None
    size: int = 0


class TooMuch(Exception):
    """The objects of one resource in one Namespace have more than `LARGEST_NAMESPACE` bytes."""


def decode_page(resource: Resource, body: bytes, *, server: str) -> Page:
    """Decode one page. An item that does not decode is named in `broken` and does not take its page along.

    Raises Unavailable ("body") for anything but a list of `resource`, down to an empty object: it must never pass for
    an empty list.
    """
    ask = resource.ask()
    broken: list[tuple[str, str]] = []
    try:
        try:
            wire = resource.decoder.decode(body)
            items = wire.items or []
        except (msgspec.ValidationError, RecursionError):
            wire = _raw_decoder.decode(body)
            items = list(_decode_each(resource, wire.items or [], broken))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise not_kubernetes(server, ask, "what it sent is no list, or only half of one") from None
    if wire.kind != resource.kind + "List":
        raise not_kubernetes(server, ask, f"it sent something else than a {resource.kind}List")
    return Page(
        items=items,
        broken=broken,
        next=wire.metadata.continue_,
        remaining=wire.metadata.remaining_item_count,
        size=len(body),
    )


_raw_decoder: Final = msgspec.json.Decoder(_Wire[msgspec.Raw])  # type: ignore[type-var]


def _decode_each(resource: Resource, items: Iterable[Any], broken: list[tuple[str, str]]) -> Iterator[Any]:
    for item in items:
        try:
            yield msgspec.json.decode(item, type=resource.type)
        except (msgspec.ValidationError, RecursionError):
            # Without even a name nobody could be told what was missed: then the page fails.
            names = msgspec.json.decode(item, type=_Nameable).metadata
            broken.append((names.namespace, names.name))


class PagedList:
    """The pages of one list, the next one fetched on `executor` while this one is used.

    A list that outlives the server's history (410) goes on with the continue token of the 410 itself: it starts after
    the last key that was sent, at the newest revision. Nothing is missed or sent twice; only, what changed meanwhile
    may show old before that key and new after it, which is no worse than reading several lists in turn. (client-go's
    `tools/pager/pager.go` starts over with one unpaged list instead, because its callers want one revision.) Where the
    410 brings no token, the list is read again from its start and what was sent already is skipped.
    """

    def __init__(
        self,
        transport: Transport,
        resource: Resource,
        *,
        executor: Executor,
        namespace: str = "",
        label_selector: str = "",
    ) -> None:
        self.resource = resource
        self.total: int | None = None
        self._transport = transport
        self._executor = executor
        self._namespace = namespace
        self._label_selector = label_selector
        self._limit = PAGE_SIZE
        self._first: Future[Page] = executor.submit(self._fetch, "")

    def first(self) -> Page:
        """The first page, waiting for it. Raises ClusterError when the list cannot be had at all."""
        return self._first.result()

    def pages(self) -> Iterator[Page]:
        """All pages. Raises ClusterError where the list breaks off, and Unavailable when it is not in order."""
        future, last, seen, expiries, skip = self._first, ("", ""), 0, 0, False
        token = ""
        while True:
            try:
                page = future.result()
            except Gone as gone:
                expiries += 1
                if expiries >= _EXPIRIES or not token:
                    raise
                token = gone.continue_token
                skip = skip or not token
                future = self._executor.submit(self._fetch, token)
                continue
            token = page.next
            if token:
                future = self._executor.submit(self._fetch, token)
            if skip:
                page = _after(last, page)
            if page.items:
                expiries = 0
            last = self._in_order(page, last)
            seen += len(page.items)
            self.total = seen + page.remaining if page.remaining is not None else None if token else seen
            yield page
            if not token:
                return

    def _in_order(self, page: Page, last: tuple[str, str]) -> tuple[str, str]:
        """The key of the page's last item. The Namespaces of a list that is not in order would be missed in silence."""
        for item in page.items:
            key = _key(item)
            if key < last:
                what = f"its list of {self.resource.name} is not in the order of Namespaces and names"
                raise not_kubernetes(self._transport.server, self.resource.ask(), what)
            last = key
        return last

    def _fetch(self, token: str) -> Page:
        query = {}
        if self.resource.field_selector:
            query["fieldSelector"] = self.resource.field_selector
        if self._label_selector:
            query["labelSelector"] = self._label_selector
        if token:
            query["continue"] = token
        ask = self.resource.ask(self._namespace)
        while True:
            query["limit"] = str(self._limit)
            largest = LARGEST_PAGE if self._limit > FEWEST else None
            try:
                body = self._transport.send(ask, query=query, largest=largest)
            except TooLarge:
                self._limit = max(FEWEST, self._limit // 10)
                continue
            self._limit = min(PAGE_SIZE, self._limit * 2)
            return decode_page(self.resource, body, server=self._transport.server)


def _key(item: Any) -> tuple[str, str]:
    metadata: raw.Meta = item.metadata
    # "/" is what follows a Namespace's name in etcd, and sorts after the "-" and "." that may stand in a name.
    return (metadata.namespace + "/" if metadata.namespace else "", metadata.name)


def _after(last: tuple[str, str], page: Page) -> Page:
    items = [item for item in page.items if _key(item) > last]
    return replace(page, items=items)


class ByNamespace:
    """Takes a paged list apart by Namespace, in the order `in_key_order` gives."""

    def __init__(self, pages: Iterator[Page]) -> None:
        self._pages = pages
        self._items: list[Any] = []
        self._at = 0
        self._bytes_each = 0.0
        self._broken: dict[str, str] = {}
        self._exhausted = False

    def take(self, namespace: str) -> tuple[list[Any], str]:
        """The items of `namespace`, and the name of one of them that could not be decoded, or "".

        Items of Namespaces before it are dropped: nobody asked for them, or their Namespace is gone. Raises TooMuch,
        past what there is of `namespace`.
        """
        key = namespace + "/"
        taken: list[Any] = []
        taken_bytes = 0.0
        while True:
            items, at, before = self._items, self._at, len(taken)
            count = len(items)
            while at < count:
                here = items[at].metadata.namespace
                if here == namespace:
                    taken.append(items[at])
                elif here + "/" > key:
                    self._at = at
                    return self._whole(taken, taken_bytes, namespace)
                at += 1
            self._at = at
            taken_bytes += (len(taken) - before) * self._bytes_each
            if taken_bytes > LARGEST_NAMESPACE:
                taken.clear()
            if not self._turn_page():
                return self._whole(taken, taken_bytes, namespace)

    def _whole(self, taken: list[Any], taken_bytes: float, namespace: str) -> tuple[list[Any], str]:
        if taken_bytes > LARGEST_NAMESPACE:
            raise TooMuch
        return taken, self._broken.pop(namespace, "")

    def _turn_page(self) -> bool:
        if self._exhausted:
            return False
        page = next(self._pages, None)
        if page is None:
            self._exhausted = True
            return False
        self._items, self._at = page.items, 0
        self._bytes_each = page.size / max(1, len(page.items))
        self._broken.update(page.broken)
        return True


N = TypeVar("N")


def in_key_order(items: Iterable[N], name: Callable[[N], str]) -> Iterator[N]:
    """Things sorted by name, in the order of name + "/", holding back only those whose name begins the next one's."""
    held: list[N] = []
    for item in items:
        while held and not name(item).startswith((name(held[-1]) + "-", name(held[-1]) + ".")):
            yield held.pop()
        held.append(item)
    while held:
        yield held.pop()
