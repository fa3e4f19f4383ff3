"""A real kube-apiserver and its etcd on free loopback ports, and the few calls that tests need to fill it.

`python -m tests.rig.apiserver` runs one in the foreground and prints the path of its kubeconfig.

What differs from a whole cluster, since no controller-manager, scheduler or kubelet runs: Pods never start (set their status,
`apply` does), deleted namespaces stay Terminating (use `unique_namespace`), ServiceAccounts are not made by themselves
(`create_namespace` makes `default`), and the aggregated ClusterRoles view, edit and admin have no rules.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import itertools
import json
import secrets
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives.asymmetric import ec

from tests.rig import binaries
from tests.rig.certificates import CertificateAuthority, KeyPair, write_key
from tests.rig.process import ServerProcess, StartFailed, free_port

Json = Any
_SYSTEM_MASTERS = "system:masters"
_serial = itertools.count(1)
_run = secrets.token_hex(2)


class ApiError(RuntimeError):
    """The API server refused something that a test needs done first."""


def unique_namespace(prefix: str = "test") -> str:
    """A name that no other test of this run uses. Namespaces cannot be removed here, so tests do not share them."""
    return f"{prefix}-{_run}-{next(_serial)}"


class KubeApiServer:
    """A kube-apiserver with RBAC, ServiceAccount admission, token users and certificate users.

    Users: `admin` (system:masters), `scanner` (who may do nothing until a test grants it), those passed in, as
    {name: groups}, and any that `add_user` makes later, who sign in with a certificate.
    """

    def __init__(self, *, users: Mapping[str, Sequence[str]] | None = None, flags: Sequence[str] = ()) -> None:
        """Nothing starts before `start()`. `flags` are added to the API server's command line."""
        self._users = {"admin": [_SYSTEM_MASTERS], "scanner": [], **(users or {})}
        self._tokens = {user: secrets.token_urlsafe(24) for user in self._users}
        self._certificates: dict[str, KeyPair] = {}
        self._flags = flags
        self._servers: list[ServerProcess] = []
        self._connections: list[http.client.HTTPSConnection] = []
        self._local = threading.local()
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start both servers and wait until the API answers /readyz. Raises StartFailed with the end of the log."""
        etcd, kube_apiserver = binaries.find("etcd"), binaries.find("kube-apiserver")
        if etcd is None or kube_apiserver is None:
            raise binaries.NotBuilt("kube-apiserver and etcd are not built yet: run `make binaries` (minutes, once)")
        self.directory = Path(tempfile.mkdtemp(prefix="credboard-apiserver-"))
        try:
            self._authority = CertificateAuthority(self.directory)
            self._start_etcd(etcd)
            self._start_kube_apiserver(kube_apiserver)
            self._post("/api/v1/namespaces/default/serviceaccounts", _default_service_account("default"))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop both servers and forget everything they held."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        for server in reversed(self._servers):
            server.stop()
        self._servers.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start_etcd(self, binary: Path) -> None:
        port = free_port()
        self._etcd_url = f"http://127.0.0.1:{port}"
        etcd = ServerProcess(
            [
                binary,
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={self._etcd_url}",
                f"--advertise-client-urls={self._etcd_url}",
                "--listen-peer-urls=http://127.0.0.1:0",
                "--unsafe-no-fsync",
                "--log-level=warn",
                f"--quota-backend-bytes={8 * 1024**3}",  # the benchmark's biggest cluster does not fit into the default 2 GiB
            ],
            log=self.directory / "etcd.log",
            cwd=self.directory,
        )
        self._servers.append(etcd)
        etcd.wait_until_ready(lambda: _etcd_is_healthy(port), seconds=60)

    def _start_kube_apiserver(self, binary: Path) -> None:
        serving = self._authority.server("apiserver")
        service_account_key = self.directory / "service-account.key"
        write_key(ec.generate_private_key(ec.SECP256R1()), service_account_key)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        server = ServerProcess(
            [
                binary,
                f"--etcd-servers={self._etcd_url}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                # Both would look for a network interface that a machine without a network does not have.
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--cert-dir={self.directory}",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
                f"--client-ca-file={self.ca_file}",
                f"--token-auth-file={self._write_tokens()}",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={service_account_key}",
                f"--service-account-key-file={service_account_key}",
                *self._flags,
            ],
            log=self.directory / "kube-apiserver.log",
            cwd=self.directory,
        )
        self._servers.append(server)
        server.wait_until_ready(self._is_ready, seconds=90)

    def _is_ready(self) -> bool:
        try:
            # The "default" namespace is made a moment after /readyz turns green.
            return (
                self.request("GET", "/readyz")[0] == 200 and self.request("GET", "/api/v1/namespaces/default")[0] == 200
            )
        except OSError:
            return False

    def _write_tokens(self) -> Path:
        path = self.directory / "tokens.csv"
        path.touch(mode=0o600)
        lines = [f'{self._tokens[user]},{user},{user},"{",".join(groups)}"' for user, groups in self._users.items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    # -- users ---------------------------------------------------------------------------------------------------------

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the server's certificate."""
        return self._authority.ca_file

    def token(self, user: str = "admin") -> str:
        """The bearer token of a user known since the start. Raises KeyError for one made by `add_user`."""
        return self._tokens[user]

    def add_user(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A user who signs in with a client certificate, from now on. Returns its files."""
        pair = self._authority.client(user, groups)
        self._certificates[user] = pair
        return pair

    def kubeconfig(self, path: Path, *, user: str = "admin", namespace: str | None = None) -> Path:
        """Write a kubeconfig for this user to `path`, self-contained, and return `path`."""
        if user in self._certificates:
            pair = self._certificates[user]
            signs_in = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        else:
            signs_in = {"token": self._tokens[user]}
        context = {"cluster": "test", "user": user, **({"namespace": namespace} if namespace else {})}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": _base64(self.ca_file)}}
            ],
            "users": [{"name": user, "user": signs_in}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2), encoding="utf-8")  # JSON is YAML
        return path

    def grant(self, user: str, rules: Sequence[Mapping[str, Json]], *, namespace: str | None = None) -> None:
        """Give a user RBAC rules, in one namespace or (None) in the whole cluster. Waits until the server honours them."""
        kind, folder = ("Role", f"/namespaces/{namespace}") if namespace else ("ClusterRole", "")
        base = f"/apis/rbac.authorization.k8s.io/v1{folder}"
        name = unique_namespace("grant")
        group = "rbac.authorization.k8s.io"
        self._post(f"{base}/{kind.lower()}s", {"metadata": {"name": name}, "rules": list(rules)})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self._post(f"{base}/{kind.lower()}bindings", binding)
        self._wait_until_granted(user, rules, namespace)

    def _wait_until_granted(self, user: str, rules: Sequence[Mapping[str, Json]], namespace: str | None) -> None:
        """RBAC reads its rules from a cache that lags by milliseconds: ask until the last rule counts."""
        rule = rules[-1]
        if "resources" not in rule:
            return
        resource, _, subresource = rule["resources"][-1].partition("/")
        attributes = {
            "verb": rule["verbs"][-1],
            "group": rule["apiGroups"][-1],
            "resource": resource,
            "subresource": subresource,
            "name": rule.get("resourceNames", [""])[-1],
            "namespace": namespace or "",
        }
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        deadline = time.monotonic() + 10
        while not self._post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]:
            if time.monotonic() > deadline:
                raise ApiError(f"{user} was granted {rule} but the API server still refuses")
            time.sleep(0.02)

    # -- requests ------------------------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: Json = None, *, user: str = "admin", content_type: str = "application/json"
    ) -> tuple[int, Json]:
        """One API request as this user: (HTTP status, decoded JSON or else the text). Safe from many threads at once.

        Raises OSError when the server cannot be reached.
        """
        headers = {"Accept": "application/json"}
        if user not in self._certificates:
            headers["Authorization"] = f"Bearer {self._tokens[user]}"
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body).encode()
        connection = self._connection(user)
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request opens it again
            if isinstance(error, OSError):
                raise
            raise OSError(f"no answer from {self.url}: {error!r}") from error
        if response.headers.get_content_type() == "application/json":
            return response.status, json.loads(text)
        return response.status, text.decode(errors="replace")

    def _connection(self, user: str) -> http.client.HTTPSConnection:
        """This thread's open connection for this user: a TLS handshake for each request would triple its cost."""
        mine: dict[str, http.client.HTTPSConnection] = self._local.__dict__
        if user not in mine:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if user in self._certificates:
                pair = self._certificates[user]
                context.load_cert_chain(pair.certificate, pair.key)
            connection = _NoDelayConnection("127.0.0.1", self.port, context=context, timeout=60)
            mine[user] = connection
            self._connections.append(connection)
        return mine[user]

    def _post(self, path: str, body: Json) -> Json:
        return self._must("POST", path, body)

    def _must(self, method: str, path: str, body: Json = None) -> Json:
        status, answer = self.request(method, path, body)
        if status >= 400:
            message = answer.get("message", answer) if isinstance(answer, dict) else answer
            raise ApiError(f"{method} {path}: {status} {message}")
        return answer

    # -- objects -------------------------------------------------------------------------------------------------------

    def create_namespace(
        self,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        service_account: bool = True,
    ) -> str:
        """Create a namespace (with a unique name if none is given) and its `default` ServiceAccount. Returns the name."""
        name = name or unique_namespace()
        metadata = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
        self._post("/api/v1/namespaces", {"metadata": metadata})
        if service_account:
            self._post(f"/api/v1/namespaces/{name}/serviceaccounts", _default_service_account(name))
        return name

    def delete_namespace(self, name: str) -> None:
        """Ask for its removal. It then stays Terminating, with what is in it, because no controller runs."""
        self.request("DELETE", f"/api/v1/namespaces/{name}")

    def apply(self, objects: Iterable[Mapping[str, Json]]) -> list[Json]:
        """Create these objects, or replace those that exist, status included; a CustomResourceDefinition is waited for.

        Returns them as stored. Raises ApiError at the first that is refused.
        """
        return [self._apply_one(dict(document)) for document in objects]

    def _apply_one(self, document: dict[str, Json]) -> Json:
        kind = self._kind(document["apiVersion"], document["kind"])
        collection = kind.collection(document["metadata"].get("namespace", "default"))
        status, stored = self.request("POST", collection, document)
        if status == 409 and stored.get("reason") == "AlreadyExists":
            stored = self._replace(collection, document)
        elif status >= 400:
            raise ApiError(
                f"POST {collection} {document['metadata'].get('name')}: {status} {stored.get('message', stored)}"
            )
        one = f"{collection}/{stored['metadata']['name']}"
        if document["kind"] == "CustomResourceDefinition":
            return self._wait_until_served(one)
        if "status" in document and kind.has_status:
            stored = self._must("PUT", f"{one}/status", {**stored, "status": document["status"]})
        return stored

    def _replace(self, collection: str, document: dict[str, Json]) -> Json:
        """Update, or else remove and create again: most of a Pod, and the type of a Secret, cannot be changed."""
        one = f"{collection}/{document['metadata']['name']}"
        version = self._must("GET", one)["metadata"]["resourceVersion"]
        newer = {**document, "metadata": {**document["metadata"], "resourceVersion": version}}
        status, stored = self.request("PUT", one, newer)
        if status == 422:
            self._must("DELETE", f"{one}?gracePeriodSeconds=0")
            return self._post(collection, document)
        if status >= 400:
            raise ApiError(f"PUT {one}: {status} {stored.get('message', stored)}")
        return stored

    def _wait_until_served(self, path: str) -> Json:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            definition = self._must("GET", path)
            spec = definition["spec"]
            served = [version["name"] for version in spec["versions"] if version["served"]]
            group = f"/apis/{spec['group']}"
            # Discovery and the handlers learn of it separately, each a moment after it says Established.
            urls = [
                f"{group}/{version}{end}" for version in served for end in ("", f"/{spec['names']['plural']}?limit=1")
            ]
            if all(self.request("GET", url)[0] == 200 for url in urls):
                return definition
            time.sleep(0.05)
        raise ApiError(f"{path} was not served after 30 s")

    def _kind(self, api_version: str, kind: str) -> _Kind:
        if (api_version, kind) not in self._kinds:
            base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            resources = self._must("GET", base)["resources"]
            with_status = {r["name"].removesuffix("/status") for r in resources if r["name"].endswith("/status")}
            for resource in resources:
                name = resource["name"]
                if "/" not in name:
                    self._kinds[api_version, resource["kind"]] = _Kind(
                        base, name, namespaced=resource["namespaced"], has_status=name in with_status
                    )
        if (api_version, kind) not in self._kinds:
            raise ApiError(f"the API server does not serve {kind} in {api_version}")
        return self._kinds[api_version, kind]


class _Kind:
    """Where the objects of one kind are found."""

    def __init__(self, base: str, plural: str, *, namespaced: bool, has_status: bool) -> None:
        self._base = base
        self._plural = plural
        self._namespaced = namespaced
        self.has_status = has_status

    def collection(self, namespace: str) -> str:
        folder = f"/namespaces/{namespace}" if self._namespaced else ""
        return f"{self._base}{folder}/{self._plural}"


class _NoDelayConnection(http.client.HTTPSConnection):
    """Sends the body of a request right after its head: waiting for the peer's acknowledgement costs 40 ms a request."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _etcd_is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _default_service_account(namespace: str) -> Json:
    return {"metadata": {"name": "default", "namespace": namespace}}


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.apiserver", description="Run an API server to try things on."
    )
    parser.add_argument("--kubeconfig", type=Path, help="where to write it (default: beside the server's own files)")
    options = parser.parse_args(arguments)

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for name in ("etcd", "kube-apiserver"):
        binaries.find_or_build(name)
    try:
        with KubeApiServer() as server:
            path = server.kubeconfig(options.kubeconfig or server.directory / "kubeconfig")
            print(
                f"{server.url} is ready. Its administrator's kubeconfig:\n{path.resolve()}\nCtrl-C stops it.",
                flush=True,
            )
            signal.pause()
    except StartFailed as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
