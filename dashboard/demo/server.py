"""The demo cluster as a server.

kmock gives the HTTP server and its life cycle. Its KubernetesEmulator is not used: kmock 0.8 cannot parse
`/api/v1/namespaces`, knows no PUT, paging, selectors, access rights or Status reasons, and keeps every request for
ever. `Api` is our own, behind kmock's handler.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import threading
import weakref
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp.test_utils
import aiohttp.web
import kmock
import msgspec
import yaml

from dashboard.demo.api import Api
from dashboard.demo.faults import Faults
from dashboard.demo.kubelet import Kubelet
from dashboard.demo.rbac import User
from dashboard.demo.status import ApiError, Json
from dashboard.demo.store import Store
from dashboard.demo.stories import build_stories
from dashboard.demo.watch import open_watch
from dashboard.demo.wire import Answer, Request, answer_error

__all__ = ["DemoCluster", "PortTaken", "SeenRequest"]

_MAX_BODY: Final = 8 * 1024 * 1024
_HOST: Final = "127.0.0.1"
_BASE: Final = ("default", "kube-node-lease", "kube-public", "kube-system")


class PortTaken(OSError):
    """Another program listens on the wanted port."""


class SeenRequest(msgspec.Struct, frozen=True):
    """One request that arrived: `target` is the path with its query."""

    method: str
    target: str


class _WebServer(aiohttp.test_utils.RawTestServer):
    """kmock's server, without debug pages, with bodies larger than 1 MiB (a Secret may have that much) and a quick
    end.
    """

    def __init__(self, handler: Any, **kwargs: Any) -> None:
        super().__init__(handler, socket_factory=_listening_socket, **kwargs)

    async def _make_runner(self, debug: bool = False, **kwargs: Any) -> aiohttp.web.ServerRunner:
        loop = asyncio.get_running_loop()
        factory = functools.partial(aiohttp.web.BaseRequest, loop=loop, client_max_size=_MAX_BODY)
        server = aiohttp.web.Server(self._handler, request_factory=factory, access_log=None, **kwargs)
        return aiohttp.web.ServerRunner(server, shutdown_timeout=1.0)


def _listening_socket(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """aiohttp's own would leave the socket open when the port is taken."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


class _Handler(kmock.RawHandler):
    """kmock's handler with our API in place of its reactions."""

    def __init__(self, api: Api, faults: Faults, seen: deque[SeenRequest]) -> None:
        super().__init__()
        self.api = api
        self.faults = faults
        self.seen = seen
        self.closing = asyncio.Event()
        self._transports = weakref.WeakSet[asyncio.Transport]()

    async def hang_up(self) -> None:
        """End every connection, also those whose client does not read what was sent: with the loop they would be left
        open, and Python warns of each when it finds it."""
        for transport in list(self._transports):
            transport.abort()
        await asyncio.sleep(0)

    async def __call__(self, raw_request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        if raw_request.transport is not None:
            self._transports.add(raw_request.transport)
        target = raw_request.path_qs
        self.seen.append(SeenRequest(raw_request.method, target))
        fault = self.faults.take(raw_request.method, target)
        if fault is not None and fault.seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), fault.seconds)
        if fault is not None and fault.answer is not None:
            return _response(fault.answer)
        headers = {name.lower(): "\n".join(raw_request.headers.getall(name)) for name in raw_request.headers}
        body = await raw_request.read()
        request = Request(raw_request.method, raw_request.path, dict(raw_request.query), headers, body)
        answer = self.api.respond(request)
        if isinstance(answer, Answer):
            if fault is not None and fault.keep is not None:
                return await _cut(raw_request, answer, fault.keep)
            return _response(answer)
        try:
            lines = open_watch(self.api.store, answer, self.closing)
        except ApiError as error:
            return _response(answer_error(error))
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(raw_request)
        async for line in lines:
            await response.write(line)
        return response


def _response(answer: Answer) -> aiohttp.web.Response:
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-cache, private"} | dict(answer.headers)
    return aiohttp.web.Response(body=answer.body, status=answer.code, headers=headers)


async def _cut(request: aiohttp.web.BaseRequest, answer: Answer, keep: float) -> aiohttp.web.StreamResponse:
    response = aiohttp.web.StreamResponse(status=answer.code, headers={"Content-Type": answer.content_type})
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: int(len(answer.body) * keep)])
    if request.transport is not None:
        request.transport.close()
    return response


class DemoCluster:
    """A Kubernetes API on `host`, in a daemon thread with its own event loop.

    `objects` are loaded as they are (None: the five stories); `now` is the time that their dates are relative to, and
    the cluster's clock goes on from there. `closed` names Namespaces whose Secrets nobody may read (None: `restricted`,
    with the stories; a LIST of Secrets over all Namespaces then answers 403 as well). The default token is
    cluster-admin apart from that.

    Raises PortTaken from `start` when another program has the port.
    """

    def __init__(
        self,
        *,
        host: str = _HOST,
        port: int = 0,
        objects: Iterable[Json] | None = None,
        now: datetime | None = None,
        closed: Collection[str] | None = None,
        kubelet: bool = True,
    ) -> None:
        started_at = datetime.now(UTC)
        offset = (now or started_at) - started_at
        self.faults = Faults()
        self.requests: deque[SeenRequest] = deque(maxlen=5000)
        self.store = Store()
        if closed is None:
            closed = ("restricted",) if objects is None else ()
        self._offset = offset
        self.api = Api(self.store, clock=self.clock, closed=closed)
        self.token = self.api.add_token(User.of("credboard", ("system:masters",)))
        self._host, self._port = host, port
        self._with_kubelet = kubelet
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: asyncio.Event | None = None
        self._url = ""
        self._load(objects)
        self.kubelet = Kubelet(self.api)

    def clock(self) -> datetime:
        """The cluster's present."""
        return datetime.now(UTC) + self._offset

    def _load(self, objects: Iterable[Json] | None) -> None:
        if objects is None:
            objects = build_stories(self.clock())
        for name in _BASE:
            self.api.load({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})
        for document in (*cluster_roles(), *objects):
            self.api.load(document)

    @property
    def url(self) -> str:
        """`http://<host>:<port>`. Raises RuntimeError before `start`."""
        if not self._url:
            raise RuntimeError("The demo cluster is not running. Call start() first.")
        return self._url

    def add_user(self, name: str, groups: Collection[str] = ()) -> str:
        """Register a user, authorised by the RBAC objects alone, and return the bearer token."""
        return self.api.add_token(User.of(name, groups))

    def kubeconfig(self, path: str | Path, *, token: str | None = None, server: str = "") -> Path:
        """Write a kubeconfig whose current context is "demo" (readable by its owner only), and return its path.

        `server` is the URL under which others reach the cluster, where that is not its own.
        """
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": {"server": server or self.url}}],
            "users": [{"name": "credboard", "user": {"token": token or self.token}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "credboard"}}],
            "current-context": "demo",
        }
        path = Path(path)
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def start(self) -> Self:
        """Listen. Raises PortTaken, or RuntimeError when it runs already."""
        if self._thread is not None:
            raise RuntimeError("The demo cluster is running already.")
        ready: list[OSError | None] = []
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready, listening), name="demo-cluster", daemon=True)
        self._thread.start()
        listening.wait()
        if ready[0] is not None:
            self._thread.join()
            self._thread = None
            error = ready[0]
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    errno.EADDRINUSE,
                    f"Port {self._port} on {self._host} is taken by another program. Choose another one, or 0 for "
                    "any free port.",
                ) from error
            raise error
        return self

    def stop(self) -> None:
        """Stop listening and end every stream. Does nothing when it is not running."""
        if self._thread is not None and self._loop is not None and self._ends is not None:
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(timeout=10)
        self._thread, self._loop, self._ends, self._url = None, None, None, ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: list[OSError | None], listening: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready, listening))
        except OSError as error:
            if listening.is_set():
                raise
            ready.append(error)
        finally:
            if not ready:
                ready.append(OSError("The demo cluster could not start."))
            listening.set()

    async def _serve(self, ready: list[OSError | None], listening: threading.Event) -> None:
        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        handler = _Handler(self.api, self.faults, self.requests)
        async with handler, kmock.Server(handler, host=self._host, port=self._port, server_cls=_WebServer) as server:
            self._url = f"http://{self._host}:{server.port}"
            ready.append(None)
            listening.set()
            ticking = asyncio.create_task(self.kubelet.run()) if self._with_kubelet else None
            await self._ends.wait()
            handler.closing.set()
            if ticking is not None:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)
            await asyncio.sleep(0)
        await handler.hang_up()


def cluster_roles() -> list[Json]:
    """The ClusterRoles that every cluster has and people are bound to."""
    reads, writes = (
        ["get", "list", "watch"],
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    )
    plain = ["pods", "pods/log", "events", "configmaps", "serviceaccounts"]
    bindings = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": writes}
    rules: dict[str, list[Json]] = {
        "cluster-admin": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ],
        "view": [{"apiGroups": [""], "resources": [*plain, "namespaces"], "verbs": reads}],
        "edit": [
            {"apiGroups": [""], "resources": [*plain, "secrets"], "verbs": writes},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": reads},
        ],
        "admin": [
            {"apiGroups": [""], "resources": [*plain, "secrets"], "verbs": writes},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": reads},
            bindings,
        ],
    }
    group = "rbac.authorization.k8s.io"
    roles: list[Json] = [
        {"kind": "ClusterRole", "apiVersion": f"{group}/v1", "metadata": {"name": name}, "rules": listed}
        for name, listed in rules.items()
    ]
    binding: Json = {
        "kind": "ClusterRoleBinding",
        "apiVersion": f"{group}/v1",
        "metadata": {"name": "cluster-admin"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:masters"}],
    }
    return [*roles, binding]
