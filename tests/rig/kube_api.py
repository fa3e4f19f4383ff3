"""The calls that fill a Kubernetes API server for a test: requests as a user, objects with their status, grants."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rig.certificates import KeyPair

Json = Any
_serial = itertools.count(1)
_run = secrets.token_hex(2)
# The server closes a connection that was idle for 90 s. One about to be closed is not used: its request could fail.
_IDLE_SECONDS = 45


class ApiError(RuntimeError):
    """The API server refused something that a test needs done first."""


def unique_namespace(prefix: str = "test") -> str:
    """A name that no other test of this run uses. Namespaces cannot be removed here, so tests do not share them."""
    return f"{prefix}-{_run}-{next(_serial)}"


class KubeApi:
    """Speaks to one API server over TLS, as users with a token or a certificate. Safe from many threads at once."""

    port: int
    url: str
    ca_file: Path
    """PEM file of the authority that signed the server's certificate."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens` by user name; there must be one for `admin`, who does what no other user is named for."""
        self._tokens = dict(tokens)
        self._certificates: dict[str, KeyPair] = {}
        self._connections: list[_Connection] = []
        self._local = threading.local()
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def close(self) -> None:
        """Close every thread's connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

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
        if time.monotonic() - connection.last_used_at > _IDLE_SECONDS:
            connection.close()
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request opens it again
            if isinstance(error, OSError):
                raise
            raise OSError(f"no answer from {self.url}: {error!r}") from error
        connection.last_used_at = time.monotonic()
        if response.headers.get_content_type() == "application/json":
            return response.status, json.loads(text)
        return response.status, text.decode(errors="replace")

    def _connection(self, user: str) -> _Connection:
        """This thread's open connection for this user: a TLS handshake for each request would triple its cost."""
        mine: dict[str, _Connection] = self._local.__dict__
        if user not in mine:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if user in self._certificates:
                pair = self._certificates[user]
                context.load_cert_chain(pair.certificate, pair.key)
            connection = _Connection("127.0.0.1", self.port, context=context, timeout=60)
            mine[user] = connection
            self._connections.append(connection)
        return mine[user]

    def must(self, method: str, path: str, body: Json = None) -> Json:
        """As `request` by the administrator, whose refusal raises ApiError."""
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
        """Create a namespace (by a unique name unless told one) and its `default` ServiceAccount; returns the name."""
        name = name or unique_namespace()
        metadata = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
        self.must("POST", "/api/v1/namespaces", {"metadata": metadata})
        if service_account:
            self.must("POST", f"/api/v1/namespaces/{name}/serviceaccounts", _default_service_account(name))
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
            stored = self.must("PUT", f"{one}/status", {**stored, "status": document["status"]})
        return stored

    def _replace(self, collection: str, document: dict[str, Json]) -> Json:
        """Update, or else remove and create again: most of a Pod, and the type of a Secret, cannot be changed."""
        one = f"{collection}/{document['metadata']['name']}"
        version = self.must("GET", one)["metadata"]["resourceVersion"]
        newer = {**document, "metadata": {**document["metadata"], "resourceVersion": version}}
        status, stored = self.request("PUT", one, newer)
        if status == 422:
            self.must("DELETE", f"{one}?gracePeriodSeconds=0")
            return self.must("POST", collection, document)
        if status >= 400:
            raise ApiError(f"PUT {one}: {status} {stored.get('message', stored)}")
        return stored

    def _wait_until_served(self, path: str) -> Json:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            definition = self.must("GET", path)
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
            resources = self.must("GET", base)["resources"]
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

    # -- grants --------------------------------------------------------------------------------------------------------

    def grant(self, user: str, rules: Sequence[Mapping[str, Json]], *, namespace: str | None = None) -> None:
        """Give a user RBAC rules, in one namespace or (None) the whole cluster. Waits until the server honours them."""
        kind, folder = ("Role", f"/namespaces/{namespace}") if namespace else ("ClusterRole", "")
        base = f"/apis/rbac.authorization.k8s.io/v1{folder}"
        name = unique_namespace("grant")
        group = "rbac.authorization.k8s.io"
        self.must("POST", f"{base}/{kind.lower()}s", {"metadata": {"name": name}, "rules": list(rules)})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self.must("POST", f"{base}/{kind.lower()}bindings", binding)
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
        deadline = time.monotonic() + 60
        while not self.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]:
            if time.monotonic() > deadline:
                raise ApiError(f"{user} was granted {rule} but the API server still refuses")
            time.sleep(0.02)


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


class _Connection(http.client.HTTPSConnection):
    """Sends the body of a request right after its head: waiting for the peer's acknowledgement may cost 40 ms."""

    last_used_at = 0.0

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _default_service_account(namespace: str) -> Json:
    return {"metadata": {"name": "default", "namespace": namespace}}
