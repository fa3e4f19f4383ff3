"""One HTTP exchange with an API server: authenticated, bounded in time, tried again where that is safe.

What is tried again follows client-go (`rest/with_retry.go`): 429, and 5xx with Retry-After, after the seconds it says.
Besides, a read that met a broken connection or a gateway without a server (502, 503, 504) is tried again after a pause.
A write is only ever repeated after a 429, which is sent before anything is done.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from urllib3 import BaseHTTPResponse, HTTPHeaderDict
from urllib3 import exceptions as http

from scanner.cluster.errors import (
    Ask,
    BadConfiguration,
    CannotActAs,
    ClusterError,
    Invalid,
    Secrets,
    Unavailable,
    not_kubernetes,
    printable,
    refused,
)
from scanner.cluster.kubeconfig import ClientError, Connection, SignInError

TRIES: Final = 3
LONGEST_WAIT: Final = 30.0
BACK_OFF: Final = 0.2
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
METADATA_ONLY: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"

_GATEWAY: Final = frozenset({502, 503, 504})
_READS: Final = frozenset({"get", "list"})
_METHODS: Final = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
_AUTH: Final = ["BearerToken"]


def path_of(ask: Ask) -> str:
    """The URL path of what `ask` is about (API concepts, "Resource URIs").

    Raises Invalid for a Namespace or name that is no single segment of a path (apimachinery `api/validation/path`): an
    empty one would address the whole collection, and ".." what is above it.
    """
    path = f"/apis/{ask.api}" if ask.api else "/api/v1"
    if ask.namespace:
        path += f"/namespaces/{_segment('metadata.namespace', ask.namespace)}"
    path += f"/{ask.resource}"
    if ask.name or ask.verb not in ("list", "watch", "create"):
        path += f"/{_segment('metadata.name', ask.name)}"
    return path


def _segment(field: str, name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise Invalid(
            f"{printable(name, 64)!r} cannot be a name in Kubernetes.", causes=[(field, "is not a valid name")]
        )
    return quote(name, safe="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """In whose name requests are sent, by impersonation (Kubernetes, "Authenticating", "User impersonation")."""

    name: str
    groups: tuple[str, ...] = ()

    def put_into(self, headers: HTTPHeaderDict, ask: Ask) -> None:
        """Raises CannotActAs for the names that Kubernetes keeps to itself: nobody who signs in has one."""
        for name in (self.name, *self.groups):
            if not name or name.startswith("system:"):
                raise CannotActAs(
                    f"Credboard does not act for {printable(name, 100) or 'nobody'}: "
                    "names that begin with system: belong to Kubernetes itself.",
                    ask=ask,
                    remedy="Sign in under the name that Kubernetes knows you by.",
                )
        # Header fields go out as Latin-1, and Kubernetes reads them as UTF-8.
        headers.add("Impersonate-User", self.name.encode().decode("latin-1"))
        for group in self.groups:
            headers.add("Impersonate-Group", group.encode().decode("latin-1"))


class TooLarge(Exception):
    """An answer has more bytes than its caller can do with; what is left of it was not read."""


class Transport:
    """Sends requests over one `Connection`; safe to use from several threads.

    `timeouts` are the seconds to connect and between two bytes of an answer.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeouts: tuple[float, float],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = connection.client
        self.server = connection.server
        self._timeouts = timeouts
        self._pause = pause
        # Renewing a token runs a command or reads a file: not from every prefetching thread at once.
        self._signing_in = threading.Lock()
        self._person: Person | None = None
        self._closed = threading.Event()

    def acting_as(self, person: Person) -> Transport:
        """The same connections, with every request in the name of `person`. Close only one of the two."""
        other = copy(self)
        other._person = person
        return other

    def close(self) -> None:
        """Close the connections; that of a request under way when it ends."""
        self._closed.set()
        self._client.close()  # type: ignore[no-untyped-call]

    def send(
        self,
        ask: Ask,
        *,
        path: str = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        secrets: Secrets | None = None,
        largest: int | None = None,
    ) -> bytes:
        """The body of the 2xx answer to `ask`. Raises ClusterError, whose words never hold one of `secrets`, and
        TooLarge for more than `largest` bytes."""
        return self.answer(
            ask,
            path=path,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
            secrets=secrets,
            largest=largest,
        )[0]

    def answer(
        self,
        ask: Ask,
        *,
        path: str = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        secrets: Secrets | None = None,
        largest: int | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """As `send`, with the headers of the answer."""
        url = self._client.configuration.host + (path or path_of(ask))
        if query:
            url += "?" + urlencode(query)
        waited = 0.0
        for attempt in range(1, TRIES + 1):
            error, wait = None, BACK_OFF * 4 ** (attempt - 1)
            try:
                status, headers, answer = self._exchange(ask, url, body, content_type, accept, largest)
            except FAILURES as failure:
                error = self.failure(failure, ask)
                again = ask.verb in _READS and isinstance(failure, http.ProtocolError)
            else:
                if 200 <= status < 300:
                    return self._checked(answer, headers, ask), headers
                after = _retry_after(headers)
                error = refused(
                    status,
                    answer,
                    ask=ask,
                    server=self.server,
                    retry_after=after,
                    secrets=secrets or Secrets(),
                    person=self._person.name if self._person else "",
                )
                unserved = status in _GATEWAY or (status >= 500 and after is not None)
                again = status == 429 or (ask.verb in _READS and unserved)
                wait = after if after is not None else wait
            if not again or attempt == TRIES or waited + wait > LONGEST_WAIT or self._closed.is_set():
                raise error from None
            self._pause(wait)
            waited += wait
        raise AssertionError("the last try returns or raises")

    def stream(
        self, ask: Ask, *, query: Mapping[str, str], accept: str, silence: float, secrets: Secrets | None = None
    ) -> BaseHTTPResponse:
        """The 2xx answer to `ask`, its body unread: close it. Asked once; `silence` are the seconds that it may pause.

        Raises ClusterError.
        """
        url = f"{self._client.configuration.host}{path_of(ask)}?{urlencode(query)}"
        try:
            response = self._request(ask, url, None, JSON, accept, (self._timeouts[0], silence))
            status, headers = response.status, response.headers
            body = b"" if 200 <= status < 300 else response.read()
        except FAILURES as failure:
            raise self.failure(failure, ask) from None
        if not 200 <= status < 300:
            after = _retry_after(headers)
            raise refused(status, body, ask=ask, server=self.server, retry_after=after, secrets=secrets or Secrets())
        opened: BaseHTTPResponse = response.response
        try:
            self._checked(b"", headers, ask)
        except ClusterError:
            opened.close()
            raise
        return opened

    def _exchange(  # noqa: PLR0917
        self,
        ask: Ask,
        url: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        accept: str,
        largest: int | None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            response = self._request(ask, url, body, content_type, accept, self._timeouts)
            if largest is None:
                return response.status, response.headers, response.read()
            answer: bytes = response.response.read(largest + 1)
            if len(answer) > largest:
                response.response.close()
                raise TooLarge
            return response.status, response.headers, answer
        finally:
            if self._closed.is_set():
                # A list that is read ahead may begin after `close`: nobody else would close what it opened.
                self._client.close()  # type: ignore[no-untyped-call]

    def _request(  # noqa: PLR0917
        self,
        ask: Ask,
        url: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        accept: str,
        timeouts: tuple[float, float],
    ) -> Any:
        method = _METHODS[ask.verb]
        headers = HTTPHeaderDict({"Accept": accept, "User-Agent": self._client.user_agent})
        if body is not None:
            headers["Content-Type"] = content_type
        if self._person is not None:
            self._person.put_into(headers, ask)
        with self._signing_in:
            self._client.update_params_for_auth(headers, [], _AUTH, url, method, None)
        return self._client.call_api(method, url, header_params=headers, body=body, _request_timeout=timeouts)

    def _checked(self, answer: bytes, headers: Mapping[str, str], ask: Ask) -> bytes:
        content_type = headers.get("Content-Type", "")
        if not content_type.startswith(JSON):
            raise not_kubernetes(
                self.server, ask, f"it sent {printable(content_type, 60) or 'an unknown type'}, not JSON"
            )
        return answer

    def failure(self, failure: Exception, ask: Ask) -> ClusterError:
        """What an exception of the network, of TLS or of the client library means."""
        server = self.server
        match _innermost(failure):
            case ClientError() | http.SSLError() | ssl.SSLError():
                found = re.search(r"certificate verify failed: ([^(\n]+)", str(failure))
                why = found[1].strip() if found else "the TLS handshake failed"
                return Unavailable(
                    f"No trusted connection to {server} ({ask}): {why}.",
                    kind="tls",
                    remedy="Put the right certificate-authority-data (and tls-server-name) into the kubeconfig.",
                )
            case http.NameResolutionError():
                return Unavailable(
                    f"The name of the server {server} cannot be resolved ({ask}).",
                    kind="dns",
                    remedy="Check the server address in the kubeconfig and the DNS of this machine.",
                )
            case http.NewConnectionError() | ConnectionRefusedError():
                return Unavailable(
                    f"Nothing accepts connections at {server} ({ask}).",
                    kind="refused",
                    remedy="Check the server address in the kubeconfig, and whether the API server runs.",
                )
            case http.TimeoutError() | TimeoutError() as late:
                connecting = isinstance(late, http.ConnectTimeoutError)
                seconds = self._timeouts[0] if connecting else self._timeouts[1]
                what = "could not be reached" if connecting else "sent nothing"
                return Unavailable(
                    f"{server} {what} within {seconds:g} s ({ask}).",
                    kind="timeout",
                    remedy="See whether the API server is overloaded, or a firewall drops the connection.",
                )
            case http.LocationValueError():
                return BadConfiguration(f"{printable(server)} is not the address of a server.")
            case http.ProtocolError() | http.DecodeError() | ConnectionError():
                return Unavailable(f"{server} broke off its answer ({ask}).", kind="body", remedy="Try again.")
            case SignInError():
                return BadConfiguration(
                    "The credentials of the kubeconfig could not be renewed.", remedy="Sign in again with kubectl."
                )
            case other:
                return Unavailable(f"No answer from {server} ({ask}): {type(other).__name__}.", kind="other")


def _innermost(failure: BaseException) -> BaseException:
    """The exception that tells: a ProxyError or MaxRetryError only wraps it."""
    for attribute in ("original_error", "reason"):
        inner = getattr(failure, attribute, None)
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return failure


#: What the client library, urllib3 and the socket raise. A ValueError is a header or URL that cannot be sent.
FAILURES: Final = (ClientError, SignInError, http.HTTPError, OSError, ValueError)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header. The API server only sends whole seconds, and client-go reads nothing else."""
    value = headers.get("Retry-After", "")
    return float(value) if re.fullmatch("[0-9]{1,6}", value) else None
