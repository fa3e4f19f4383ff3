"""The parameters that every request of the demo API may carry: selectors, dryRun, fieldValidation, Accept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dashboard.demo.resources import Resource
from dashboard.demo.selectors import field_selector, label_selector
from dashboard.demo.status import ApiError, Json
from dashboard.demo.validation import decode, unknown_fields
from dashboard.demo.wire import Answer, Request

__all__ = ["BODIES", "check_accept", "decoded", "is_dry_run", "page_not_found", "selection"]

BODIES: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


def check_accept(request: Request) -> None:
    accepted = request.headers.get("accept", "")
    if accepted and not any(name in accepted for name in ("json", "*/*", "application/*")):
        message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(BODIES)}"
        raise ApiError(406, "NotAcceptable", message, {})


def wants_metadata_only(request: Request) -> bool:
    """Whether only the metadata of objects is to be sent (API concepts, "Metadata-only fetches")."""
    return "as=PartialObjectMetadata;" in request.headers.get("accept", "")


def page_not_found() -> Answer:
    return Answer(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")


def selection(request: Request, resource: Resource) -> Callable[[Json], bool] | None:
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    tests = [label_selector(labels)] if labels else []
    tests += [field_selector(fields, resource)] if fields else []
    return (lambda document: all(test(document) for test in tests)) if tests else None


def decoded(request: Request, resource: Resource, body: Any) -> tuple[Json, dict[str, str]]:
    unknown = (
        unknown_fields(resource, body, request.query.get("fieldValidation", "Warn")) if isinstance(body, dict) else []
    )
    warnings = {"Warning": ", ".join('299 - "' + text.replace('"', '\\"') + '"' for text in unknown)} if unknown else {}
    return decode(resource, body), warnings


def is_dry_run(request: Request, options: Json | None = None) -> bool:
    value = request.query.get("dryRun", "") or "".join((options or {}).get("dryRun") or [])
    if value not in {"", "All"}:
        kinds = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
        raise ApiError.unknown_option(kinds.get(request.method, "DeleteOptions"), "dryRun", [value], ("All",))
    return value == "All"
