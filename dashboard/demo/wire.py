"""Requests, answers and paths of the demo API, free of any HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dashboard.demo.rbac import Attributes
from dashboard.demo.selectors import selected_name
from dashboard.demo.status import ApiError, Json

__all__ = ["Answer", "Request", "Target", "WatchCall", "answer_json", "parse_target"]

_JSON: Final = msgspec.json.Encoder()
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer with a body that is there at once."""

    code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path of the API names."""

    group: str
    version: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class WatchCall:
    """A permitted watch: the server streams it (`watch.stream`)."""

    target: Target
    query: Mapping[str, str]
    metadata_only: bool = False


def answer_json(document: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(code, _JSON.encode(document), headers or {})


def answer_error(error: ApiError) -> Answer:
    """An answer with a Status body."""
    return answer_json(error.body, error.code, error.headers)


def parse_target(path: str) -> Target | None:
    """The target of `/api/v1/…` and `/apis/<group>/<version>/…`, None for any other path (apiserver
    pkg/endpoints/request/requestinfo.go).
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 2 and rest[0] == "namespaces" and not group:
        namespace = rest[1]
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    elif len(rest) == 2 and rest[0] == "namespaces" and group:
        return None
    if len(rest) > 3:
        return None
    resource, name, subresource = (*rest, "", "", "")[:3]
    return Target(group, version, resource, namespace, name, subresource)


def attributes_of(request: Request, target: Target | None) -> Attributes:
    """The question that the authorizer is asked about a request."""
    if target is None or not target.resource:
        verbs = {"GET": "get", "HEAD": "head"}
        return Attributes(verb=verbs.get(request.method, request.method.lower()), path=request.path)
    name = target.name
    if request.method == "GET":
        watching = request.query.get("watch") in {"true", "1", ""} and "watch" in request.query
        verb = "watch" if watching else "get" if name else "list"
        name = name or selected_name(request.query.get("fieldSelector", ""))
    elif request.method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = _VERBS.get(request.method, request.method.lower())
    return Attributes(verb, target.group, target.resource, target.subresource, target.namespace, name)


def forbidden(user_name: str, asked: Attributes, reason: str = "") -> ApiError:
    """403, worded as apiserver's `responsewriters.ForbiddenStatusError` does."""
    tail = f": {reason}" if reason else ""
    if not asked.resource:
        return ApiError(
            403, "Forbidden", f'forbidden: User "{user_name}" cannot {asked.verb} path "{asked.path}"{tail}', {}
        )
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    what = f'User "{user_name}" cannot {asked.verb} resource "{full}" in API group "{asked.group}" {scope}{tail}'
    return ApiError.forbidden(asked.resource, asked.group, asked.name, what)


def read_body(request: Request) -> Any:
    """The JSON (or YAML) of a body. Raises ApiError 400 without quoting it."""
    try:
        if request.media_type == "application/yaml":
            return msgspec.yaml.decode(request.body)
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError.bad_request("error decoding the body: it is not well-formed") from error


def options_of(request: Request) -> Json:
    """The DeleteOptions of a DELETE; the body may be empty."""
    options = read_body(request) if request.body.strip() else {}
    return options if isinstance(options, dict) else {}
