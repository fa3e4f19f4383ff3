"""A Kubernetes cluster as Credboard uses it: reads whole Namespaces, writes single Secrets, asks who may do what.

One deep class. Paging, merging, time limits, repeating, sign-in and the translation of errors are behind it; what comes
out are the structs of `raw` and, when something goes wrong, a `ClusterError` in words for people.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from scanner import raw
from scanner.cluster import listing, profiles, watching
from scanner.cluster.errors import (
    Ask,
    BadConfiguration,
    CannotActAs,
    ClusterError,
    ClusterWideForbidden,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    QuotaExceeded,
    Secrets,
    Throttled,
    Unauthenticated,
    Unavailable,
    without_addresses,
    words_for_owners,
)
from scanner.cluster.exchange import decode, get
from scanner.cluster.gathering import FORBIDDEN, REQUIRED, is_selected, listed, take, whole
from scanner.cluster.kubeconfig import Connection, connect, connect_text
from scanner.cluster.linking import relink
from scanner.cluster.listing import (
    NAMESPACED,
    NAMESPACES,
    PODS,
    PROFILES,
    SERVICE_ACCOUNTS,
    ByNamespace,
    PagedList,
    Resource,
)
from scanner.cluster.messages import HasMetadata, Review, attributes, delete_options, write_query
from scanner.cluster.server_info import ServerInfo, ServerVersion, server_info
from scanner.cluster.transport import JSON, METADATA_ONLY, Person, Transport
from scanner.cluster.watching import WATCHED, Change, Changes

__all__ = [
    "REQUIRED",
    "WATCHED",
    "BadConfiguration",
    "CannotActAs",
    "Change",
    "Changes",
    "Cluster",
    "ClusterError",
    "ClusterWideForbidden",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "Person",
    "QuotaExceeded",
    "ServerInfo",
    "Throttled",
    "Unauthenticated",
    "Unavailable",
    "without_addresses",
    "words_for_owners",
]

_AUTHORIZATION: Final = "authorization.k8s.io/v1"

Progress = Callable[[int, int | None], None]
S = TypeVar("S")


class Cluster:
    """Close it, or use it as a context manager. Methods may be called from several threads.

    Every method raises `ClusterError`: Unauthenticated, Forbidden, Throttled and Unavailable are always possible, other
    ones are named where they are.
    """

    def __init__(self, connection: Connection, *, connect_timeout: float = 5, read_timeout: float = 30) -> None:
        """`connect_timeout` and `read_timeout` are seconds, of every request."""
        self.name = connection.name
        self.server = connection.server
        self._transport = Transport(connection, timeouts=(connect_timeout, read_timeout))

    @classmethod
    def from_kubeconfig(
        cls,
        path: str | None = None,
        context: str | None = None,
        *,
        connect_timeout: float = 5,
        read_timeout: float = 30,
    ) -> Self:
        """The cluster of a kubeconfig's context; without a path $KUBECONFIG, ~/.kube/config, or the cluster we run in.

        Raises BadConfiguration. Nothing is sent yet.
        """
        return cls(connect(path, context), connect_timeout=connect_timeout, read_timeout=read_timeout)

    @classmethod
    def from_kubeconfig_text(
        cls, text: str, context: str | None = None, *, connect_timeout: float = 5, read_timeout: float = 30
    ) -> Self:
        """The cluster of a stored kubeconfig. Its sign-in command runs here, so only operators may store one."""
        return cls(connect_text(text, context), connect_timeout=connect_timeout, read_timeout=read_timeout)

    def acting_as(self, person: Person) -> Self:
        """The same cluster, asked in the name of `person` by impersonation, over the same connections: close one of the
        two. Its methods raise CannotActAs where Kubernetes does not let us act for them."""
        other = copy(self)
        other._transport = self._transport.acting_as(person)
        return other

    def __repr__(self) -> str:
        return f"Cluster({self.name!r} at {self.server})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    # Reading

    def namespaces(
        self,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        label_selector: str = "",
        progress: Progress | None = None,
    ) -> Iterator[raw.NamespaceObjects]:
        """Every selected Namespace with what is in it, from one paged list a resource, in the order of name + "/".

        `include` and `exclude` are globs of names (`exclude` wins, an empty `include` is all), `label_selector` is
        Kubernetes'. Namespaces that come or go meanwhile do no harm: what is in one that was not listed is dropped,
        one that is gone by then is empty. `progress` gets how many listed Namespaces are done, and how many there are
        as far as is known.

        Raises ClusterWideForbidden before the first Namespace where a list is forbidden without which nothing true can
        be said; Events, RoleBindings and Profiles that cannot be read are named in `unreadable` instead. An object that
        cannot be decoded makes its resource `unreadable` in its Namespace. A list that breaks off raises, so what comes
        out is never only the first part of a Namespace.
        """
        include, exclude = tuple(include), tuple(exclude)
        with _prefetching() as executor:
            namespaces = self._list(NAMESPACES, executor, label_selector=label_selector)
            refusals: list[Forbidden] = []
            try:
                # Read first: a Namespace that is made later is left out rather than shown without its objects.
                namespaces.first()
            except Forbidden as error:
                refusals.append(error)
            lists = {name: self._list(resource, executor) for name, resource in NAMESPACED.items()}
            listed_profiles = self._list(PROFILES, executor)
            unreadable: dict[str, str] = {}
            for paged in lists.values():
                try:
                    paged.first()
                except ClusterError as error:
                    if paged.resource.name in REQUIRED:
                        if not isinstance(error, Forbidden):
                            raise
                        refusals.append(error)
            if refusals:
                raise ClusterWideForbidden(refusals)
            owners = profiles.owners(self._transport, listed_profiles, unreadable)
            streams = {name: (paged.resource, ByNamespace(paged.pages())) for name, paged in lists.items()}
            found = listing.in_key_order(listed(namespaces), lambda pair: pair[0].metadata.name)
            for done, (namespace, fault) in enumerate(found, start=1):
                name = namespace.metadata.name
                if is_selected(name, include, exclude):
                    here = {NAMESPACES.name: fault} if fault else {}
                    fields = {f: take(name, *stream, unreadable, here) for f, stream in streams.items()}
                    yield raw.NamespaceObjects(
                        namespace=namespace,
                        profile_owner=owners.get(name),
                        unreadable={**unreadable, **here},
                        **fields,
                    )
                if progress:
                    progress(done, namespaces.total)

    def namespace(self, name: str) -> raw.NamespaceObjects:
        """One Namespace, with one list of each resource in it.

        A resource that is forbidden stands in `unreadable`. Raises NotFound when the Namespace is not there; where even
        that may not be asked, only its name is known.
        """
        unreadable: dict[str, str] = {}
        try:
            namespace = self._get(Ask(verb="get", resource="namespaces", name=name), raw.Namespace)
        except Forbidden:
            namespace = raw.Namespace(metadata=raw.ObjectMeta(name=name))
            unreadable[NAMESPACES.name] = FORBIDDEN
        with _prefetching() as executor:
            lists = {field: self._list(resource, executor, namespace=name) for field, resource in NAMESPACED.items()}
            profile_owner = profiles.owner(self._transport, name, unreadable)
            fields = {field: whole(paged, unreadable) for field, paged in lists.items()}
        return raw.NamespaceObjects(namespace=namespace, profile_owner=profile_owner, unreadable=unreadable, **fields)

    def namespace_labels(self, name: str) -> dict[str, str]:
        """The labels of one Namespace. Raises NotFound."""
        namespace = self._get(Ask(verb="get", resource="namespaces", name=name), raw.Namespace)
        return dict(namespace.metadata.labels or {})

    def namespace_names(self, *, label_selector: str = "") -> list[str]:
        """The names of all Namespaces, sorted. Raises Forbidden where they may not be listed, Invalid for a selector
        that the API server does not understand."""
        with _prefetching() as executor:
            paged = self._list(NAMESPACES, executor, label_selector=label_selector)
            return sorted(namespace.metadata.name for namespace, _ in listed(paged))

    def service_accounts(self, namespace: str) -> list[raw.ServiceAccount]:
        """The ServiceAccounts of one Namespace."""
        with _prefetching() as executor:
            paged = self._list(SERVICE_ACCOUNTS, executor, namespace=namespace)
            return [account for page in paged.pages() for account in page.items]

    def pods(self, namespace: str) -> list[raw.Pod]:
        """The Pods of one Namespace."""
        with _prefetching() as executor:
            return [pod for page in self._list(PODS, executor, namespace=namespace).pages() for pod in page.items]

    def secret_metadata(self, namespace: str, name: str) -> raw.ObjectMeta:
        """A Secret's metadata; its values are not sent (API concepts, "Metadata-only fetches"). Raises NotFound."""
        ask = Ask(verb="get", resource="secrets", namespace=namespace, name=name)
        return self._get(ask, HasMetadata, accept=METADATA_ONLY).metadata

    # Watching

    def version_now(self, resource: str) -> str:
        """Where a watch of `resource` (one of `WATCHED`) starts that misses nothing from now on. Raises NotFound for
        what this cluster does not have."""
        return watching.version_now(self._transport, WATCHED[resource])

    def watch(self, resource: str, *, since: str, seconds: int, silence: float, label_selector: str = "") -> Changes:
        """What changes of `resource` (one of `WATCHED`) in all Namespaces after the version `since`, for `seconds`.

        Nothing but metadata is sent. `silence` are the seconds after which a watch that brings nothing, not even a
        bookmark, counts as dead. Asked once: raises also Gone.
        """
        return watching.open_watch(
            self._transport,
            WATCHED[resource],
            since=since,
            seconds=seconds,
            silence=silence,
            label_selector=label_selector,
        )

    # Writing

    def create_secret(  # noqa: PLR0917
        self,
        namespace: str,
        name: str,
        type: str,
        data: Mapping[str, bytes],
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        *,
        dry_run: bool = False,
    ) -> str:
        """Create a Secret and return its uid; with `dry_run` everything is checked and nothing kept.

        Raises Conflict ("AlreadyExists"), Invalid, QuotaExceeded, NotFound (the Namespace). None of them quotes `data`.
        """
        encoded = {key: b64encode(value).decode() for key, value in data.items()}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})},
            "type": type,
            "data": encoded,
        }
        ask = Ask(verb="create", resource="secrets", namespace=namespace)
        if not namespace or not name:
            raise Invalid(f"Refused as invalid ({ask}).", causes=[("metadata.name", "Required value")])
        secrets = Secrets((*(value.decode("utf-8", "replace") for value in data.values()), *encoded.values()))
        answer = self._transport.send(ask, body=body, query=write_query(dry_run), secrets=secrets)
        return self._decode(answer, HasMetadata, ask).metadata.uid

    def delete_secret(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Secret that has this `uid`. Raises Conflict for another of the same name, NotFound for none."""
        ask = Ask(verb="delete", resource="secrets", namespace=namespace, name=name)
        self._transport.send(ask, body=delete_options(uid))

    def delete_pod(self, namespace: str, name: str, uid: str = "") -> None:
        """Delete a Pod, so that its controller makes it again. Raises NotFound, Conflict when it has another `uid`."""
        ask = Ask(verb="delete", resource="pods", namespace=namespace, name=name)
        self._transport.send(ask, body=delete_options(uid))

    def link_pull_secret(self, namespace: str, service_account: str, secret: str, *, dry_run: bool = False) -> bool:
        """Add a Secret to a ServiceAccount's imagePullSecrets; False when it is there already. Raises NotFound."""

        def add(names: list[str]) -> list[str]:
            return names if secret in names else [*names, secret]

        return relink(self._transport, namespace, service_account, add, dry_run=dry_run)

    def unlink_pull_secret(self, namespace: str, service_account: str, secret: str, *, dry_run: bool = False) -> bool:
        """Take a Secret out of a ServiceAccount's imagePullSecrets; False when it is not there. Raises NotFound."""

        def remove(names: list[str]) -> list[str]:
            return [name for name in names if name != secret]

        return relink(self._transport, namespace, service_account, remove, dry_run=dry_run)

    # Asking

    def can_i(self, verb: str, resource: str, namespace: str, *, group: str = "") -> bool:
        """Whether we may, by SelfSubjectAccessReview. An empty `namespace` means all of them."""
        spec = {"resourceAttributes": attributes(verb, resource, namespace, group)}
        return self._review("SelfSubjectAccessReview", spec)

    def can(  # noqa: PLR0917
        self, user: str, groups: Iterable[str], verb: str, resource: str, namespace: str, group: str = ""
    ) -> bool:
        """Whether `user`, a member of `groups`, may, by SubjectAccessReview.

        Like the API server with everybody who signs in, this counts system:authenticated among the groups.
        """
        everybody = dict.fromkeys((*groups, "system:authenticated"))
        wanted = attributes(verb, resource, namespace, group)
        return self._review(
            "SubjectAccessReview", {"user": user, "groups": list(everybody), "resourceAttributes": wanted}
        )

    def about(self) -> ServerInfo:
        """Which version the API server is, and what its clock shows."""
        ask = Ask(verb="get", resource="version")
        body, headers = self._transport.answer(ask, path="/version")
        return server_info(self._decode(body, ServerVersion, ask), headers)

    def rights(self, namespace: str = "") -> dict[str, bool]:
        """What a scan lists -> whether we may, by SelfSubjectAccessReview; in one Namespace, or ("") in all of them."""
        resources = [*([] if namespace else [NAMESPACES]), *NAMESPACED.values()]
        groups = {resource.name: resource.api.rpartition("/")[0] for resource in resources}
        return {name: self.can_i("list", name, namespace, group=group) for name, group in groups.items()}

    # Inside

    def _list(self, resource: Resource, executor: Executor, **where: str) -> PagedList:
        return PagedList(self._transport, resource, executor=executor, **where)

    def _get(self, ask: Ask, type: type[S], *, accept: str = JSON) -> S:
        return get(self._transport, ask, type, accept=accept)

    def _decode(self, body: bytes, type: type[S], ask: Ask) -> S:
        return decode(self._transport, body, type, ask)

    def _review(self, kind: str, spec: Mapping[str, Any]) -> bool:
        ask = Ask(verb="create", resource=f"{kind.lower()}s", api=_AUTHORIZATION)
        body = {"apiVersion": _AUTHORIZATION, "kind": kind, "spec": dict(spec)}
        return self._decode(self._transport.send(ask, body=body), Review, ask).status.allowed


@contextmanager
def _prefetching() -> Iterator[Executor]:
    executor = ThreadPoolExecutor(max_workers=len(NAMESPACED) + 2, thread_name_prefix="list")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
