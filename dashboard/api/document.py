"""The OpenAPI document of the API, and the values that its reference page is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from django.urls import reverse
from ninja.openapi.schema import REF_TEMPLATE

from dashboard.api import schemas
from dashboard.api.app import api
from dashboard.api.problems import CONTENT_TYPE, KINDS, Kind

#: What may become of any request, of any that writes, and of any with a body.
ANY: Final = (401, 404, 422, 429, 503)
WRITES: Final = (403, 409)
BODIES: Final = (400, 413, 415)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the addresses as this server is reached."""
    return _document(reverse("api-openapi").removesuffix("openapi.json"))


@lru_cache(maxsize=4)
def _document(prefix: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix=prefix)))
    problem = schemas.Problem.model_json_schema(ref_template=REF_TEMPLATE, mode="serialization")
    made["components"]["schemas"] |= problem.pop("$defs", {}) | {"Problem": problem}
    for operations in made["paths"].values():
        for method, operation in operations.items():
            operation["operationId"] = operation["operationId"].rpartition("resources_")[2]
            _tell_problems(method, operation)
    return made


def _tell_problems(method: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    statuses = [*ANY, *(WRITES if method != "get" else ()), *(BODIES if "requestBody" in operation else ())]
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in sorted(statuses):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    if method == "get":
        responses["304"] = {"description": "Nothing changed since the answer whose ETag came in If-None-Match"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter, or a field of a body or answer. `type` is in words."""

    name: str
    type: str
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    anchor: str
    method: str
    path: str
    summary: str
    about: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answer: tuple[Field, ...]
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The document as a page shows it: operations by what they are about."""

    about: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Operation, ...]], ...]
    problems: tuple[Kind, ...] = KINDS


def reference(made: Mapping[str, Any]) -> Reference:
    """`made` as from `document`."""
    groups: dict[str, list[Operation]] = {}
    for path, operations in made["paths"].items():
        for method, told in operations.items():
            groups.setdefault(told["tags"][0], []).append(_operation(path, method, told, made))
    return Reference(
        about=tuple(" ".join(part.split()) for part in made["info"]["description"].split("\n\n")),
        groups=tuple((name, tuple(found)) for name, found in groups.items()),
    )


def _operation(path: str, method: str, told: Mapping[str, Any], made: Mapping[str, Any]) -> Operation:
    status = next(code for code in told["responses"] if code.startswith("2"))
    lead, _, about = told.get("description", "").partition("\n")
    return Operation(
        anchor=told["operationId"],
        method=method.upper(),
        path=path,
        summary=lead.rstrip("."),
        about=about.strip(),
        parameters=tuple(
            Field(
                name=one["name"],
                type=_type(one["schema"], made),
                about=one.get("description", ""),
                required=one["required"],
            )
            for one in told["parameters"]
        ),
        body=tuple(_fields(_content(told.get("requestBody", {})), made)),
        answer=tuple(_fields(_item(_content(told["responses"][status]), made), made)),
        status=status,
    )


def _content(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _resolved(schema: Mapping[str, Any], made: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = made["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _item(schema: Mapping[str, Any], made: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a page, one item; anything else as it is."""
    whole = _resolved(schema, made)
    items = whole.get("properties", {}).get("items")
    return _resolved(items["items"], made) if items and "next" in whole["properties"] else whole


def _fields(schema: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[Field]:
    whole = _resolved(schema, made)
    for name, told in whole.get("properties", {}).items():
        required = name in whole.get("required", ())
        yield Field(name=name, type=_type(told, made), about=told.get("description", ""), required=required)


def _type(schema: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one, made) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"] if value != "")
    whole = _resolved(schema, made)
    kind = str(whole.get("type", "any"))
    if kind == "array":
        return f"list of {_type(whole['items'], made)}"
    if kind == "object" and "properties" in whole:
        return f"{{{', '.join(whole['properties'])}}}"
    if kind == "integer" and "maximum" in whole and whole["maximum"] < 10**6:
        return f"{whole['minimum']} to {whole['maximum']}"
    return {"string": "time" if whole.get("format") == "date-time" else "text", "boolean": "true or false"}.get(
        kind, kind
    )
