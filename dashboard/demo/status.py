"""Errors of the demo API, worded as kube-apiserver words them (source: apimachinery pkg/api/errors and
pkg/util/validation/field).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ApiError", "FieldError", "Json", "go_type", "success"]

type_names: Final = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueNotSupported": "Unsupported value",
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One entry of `details.causes` of a 422."""

    field: str
    reason: str
    detail: str = ""
    value: object = None

    @property
    def body(self) -> str:
        """The message of the cause, without the field (`field.Error.ErrorBody`)."""
        text = type_names[self.reason]
        if self.reason in {"FieldValueInvalid", "FieldValueDuplicate", "FieldValueNotSupported"}:
            text += f": {json.dumps(self.value, ensure_ascii=False, separators=(',', ':'))}"
        return f"{text}: {self.detail}" if self.detail else text

    @classmethod
    def required(cls, field: str, detail: str = "") -> FieldError:
        return cls(field, "FieldValueRequired", detail)

    @classmethod
    def invalid(cls, field: str, value: object, detail: str) -> FieldError:
        return cls(field, "FieldValueInvalid", detail, value)

    @classmethod
    def forbidden(cls, field: str, detail: str) -> FieldError:
        return cls(field, "FieldValueForbidden", detail)


class ApiError(Exception):
    """An answer that is a `kind: Status` with `status: Failure`."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.continue_token = ""
        self.headers: dict[str, str] = {}

    @property
    def body(self) -> Json:
        """The Status object, with the keys a real API server sends."""
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body

    @classmethod
    def unauthorized(cls) -> ApiError:
        return cls(401, "Unauthorized", "Unauthorized")

    @classmethod
    def bad_request(cls, message: str) -> ApiError:
        return cls(400, "BadRequest", message)

    @classmethod
    def not_found(cls, plural: str, group: str, name: str) -> ApiError:
        return cls(404, "NotFound", f'{_qualified(plural, group)} "{name}" not found', _details(plural, group, name))

    @classmethod
    def already_exists(cls, plural: str, group: str, name: str) -> ApiError:
        message = f'{_qualified(plural, group)} "{name}" already exists'
        return cls(409, "AlreadyExists", message, _details(plural, group, name))

    @classmethod
    def conflict(cls, plural: str, group: str, name: str, why: str = "") -> ApiError:
        why = why or "the object has been modified; please apply your changes to the latest version and try again"
        message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}'
        return cls(409, "Conflict", message, _details(plural, group, name))

    @classmethod
    def forbidden(cls, plural: str, group: str, name: str, why: str) -> ApiError:
        subject = _qualified(plural, group) + (f' "{name}"' if name else "")
        return cls(403, "Forbidden", f"{subject} is forbidden: {why}", _details(plural, group, name))

    @classmethod
    def invalid(cls, kind: str, group: str, name: str, errors: Sequence[FieldError]) -> ApiError:
        """422 with one cause per error; the message lists them in brackets when there are several, equal ones once."""
        texts = list(dict.fromkeys(f"{error.field}: {error.body}" for error in errors))
        joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        details = _details(kind, group, name)
        details["causes"] = [{"reason": e.reason, "message": e.body, "field": e.field} for e in errors]
        return cls(422, "Invalid", f'{_qualified(kind, group)} "{name}" is invalid: {joined}', details)

    @classmethod
    def unprocessable_patch(cls) -> ApiError:
        return cls(422, "Invalid", "the server rejected our request due to an error in our request", {})

    @classmethod
    def method_not_allowed(cls) -> ApiError:
        message = "the server does not allow this method on the requested resource"
        return cls(405, "MethodNotAllowed", message, {})

    @classmethod
    def no_such_resource(cls) -> ApiError:
        return cls(404, "NotFound", "the server could not find the requested resource", {})

    @classmethod
    def unknown_option(cls, options: str, field: str, value: object, supported: Sequence[str]) -> ApiError:
        """422 about a query parameter or a field of the options of a request."""
        listed = ", ".join(f'"{name}"' for name in supported)
        error = FieldError(field, "FieldValueNotSupported", f"supported values: {listed}", value)
        return cls.invalid(options, "meta.k8s.io", "", [error])

    @classmethod
    def unsupported_media_type(cls, accepted: Sequence[str]) -> ApiError:
        message = "the body of the request was in an unknown format - accepted media types include: "
        return cls(415, "UnsupportedMediaType", message + ", ".join(accepted))

    @classmethod
    def expired(cls, message: str) -> ApiError:
        return cls(410, "Expired", message)


def go_type(value: object) -> str:
    """What Go's encoding/json calls a value in its errors."""
    names = {str: "string", bool: "bool", list: "array", dict: "object"}
    return names.get(type(value), "number")


def success(plural: str, group: str, name: str, uid: str) -> Json:
    """The answer to a DELETE of a resource that does not return its object."""
    details = _details(plural, group, name) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _qualified(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def _details(kind: str, group: str, name: str) -> Json:
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    return details | ({"kind": kind} if kind else {})
