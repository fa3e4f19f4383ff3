"""What the API server refuses with 400 and 422 (source: kubernetes pkg/apis/core/validation/validation.go and the
registries' strategies).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from dashboard.demo.resources import Resource
from dashboard.demo.status import ApiError, FieldError, Json, go_type

__all__ = ["decode", "unknown_fields", "validate", "validate_update"]

_MAX_SECRET: Final = 1024 * 1024
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_DATA_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_SUBDOMAIN_SAYS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_SAYS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric "
    "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_SAYS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_DATA_KEY_SAYS: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', "
    "regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FROZEN: Final = "field is immutable when `immutable` is set"
_POD_FROZEN: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def decode(resource: Resource, document: Any) -> Json:
    """The typed object of a request body: kind, version and field types checked, `stringData` merged into `data`,
    nulls dropped.

    Raises ApiError 400, never naming a value.
    """
    if not isinstance(document, dict):
        raise ApiError.bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal the body into an object"
        )
    expected = (resource.group_version, resource.kind)
    given = (document.get("apiVersion") or expected[0], document.get("kind") or expected[1])
    if given[1] != expected[1]:
        why = f"converting ({given[0]}.{given[1]}) to (core.{resource.kind}): unknown conversion"
        raise ApiError.bad_request(f'{given[1]} in version "{given[0]}" cannot be handled as a {resource.kind}: {why}')
    if given[0] != expected[0]:
        why = f'no kind "{given[1]}" is registered for version "{given[0]}" in scheme "pkg/runtime/scheme.go:111"'
        raise ApiError.bad_request(f'{given[1]} in version "{given[0]}" cannot be handled as a {resource.kind}: {why}')
    document = {"kind": expected[1], "apiVersion": expected[0]} | document
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _cannot(resource, "json: cannot unmarshal the field metadata of type v1.ObjectMeta")
    for field in ("labels", "annotations"):
        _string_map(resource, metadata.get(field), f"metadata.{field}")
    document["metadata"] = {key: value for key, value in metadata.items() if value not in (None, "", {}, [])}
    if resource.fields is not None:
        document = {
            key: value
            for key, value in document.items()
            if key in resource.fields or key in {"kind", "apiVersion", "metadata"}
        }
        document = {key: value for key, value in document.items() if value is not None}
    return _decode_data(resource, document)


def _decode_data(resource: Resource, document: Json) -> Json:
    if resource.kind not in {"Secret", "ConfigMap"}:
        return document
    data, extra = document.get("data"), document.pop("stringData", None)
    _string_map(resource, data, "data")
    _string_map(resource, extra, "stringData")
    if resource.kind == "Secret":
        data = {key: value or "" for key, value in (data or {}).items()}
        for value in data.values():
            try:
                base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
            except (binascii.Error, ValueError) as error:
                raise _cannot(resource, "illegal base64 data at input byte 0") from error
        data |= {key: base64.b64encode((value or "").encode()).decode() for key, value in (extra or {}).items()}
        document["type"] = document.get("type") or "Opaque"
    document.pop("data", None)
    return document | ({"data": data} if data else {})


def _string_map(resource: Resource, value: object, field: str) -> None:
    wanted = "[]uint8" if (resource.kind, field) == ("Secret", "data") else "string"
    wrong = [item for item in value.values() if not isinstance(item, str | None)] if isinstance(value, dict) else []
    if wrong or not isinstance(value, dict | None):
        what = go_type(wrong[0] if wrong else value)
        why = f"json: cannot unmarshal {what} into Go struct field {resource.kind}.{field} of type {wanted}"
        raise _cannot(resource, why)


def _cannot(resource: Resource, why: str) -> ApiError:
    return ApiError.bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}'
    )


def unknown_fields(resource: Resource, document: Json, mode: str) -> list[str]:
    """Top-level fields that the kind does not have: warnings, or ApiError 400 where `fieldValidation` is Strict."""
    if mode == "Ignore" or resource.fields is None:
        return []
    unknown = [
        f'unknown field "{key}"' for key in document if key not in resource.fields | {"kind", "apiVersion", "metadata"}
    ]
    if unknown and mode == "Strict":
        raise _cannot(resource, f"strict decoding error: {', '.join(unknown)}")
    return unknown


def validate(resource: Resource, document: Json) -> None:
    """Raises ApiError 422 with every cause found."""
    metadata = document["metadata"]
    errors = _validate_metadata(resource, metadata)
    if resource.kind == "Secret":
        errors += _validate_secret(document)
    elif resource.kind == "ConfigMap":
        errors += _validate_keys(document.get("data") or {})
    elif resource.kind == "Pod":
        errors += _validate_pod(document)
    if errors:
        raise ApiError.invalid(resource.kind, resource.group, metadata.get("name", ""), errors)


def _validate_metadata(resource: Resource, metadata: Json) -> list[FieldError]:
    name = metadata.get("name", "")
    errors: list[FieldError] = []
    if not name:
        return [FieldError.required("metadata.name", "name or generateName is required")]
    if resource.group == "rbac.authorization.k8s.io":
        bad = [
            text
            for text, is_bad in (("may not contain '/'", "/" in name), ("may not contain '%'", "%" in name))
            if is_bad
        ]
        errors += [FieldError.invalid("metadata.name", name, text) for text in bad]
    elif resource.kind == "Namespace":
        if len(name) > 63:
            errors.append(FieldError.invalid("metadata.name", name, "must be no more than 63 bytes"))
        if not _LABEL.fullmatch(name):
            errors.append(FieldError.invalid("metadata.name", name, _LABEL_SAYS))
    else:
        if len(name) > 253:
            errors.append(FieldError.invalid("metadata.name", name, "must be no more than 253 bytes"))
        if not _SUBDOMAIN.fullmatch(name):
            errors.append(FieldError.invalid("metadata.name", name, _SUBDOMAIN_SAYS))
    for value in (metadata.get("labels") or {}).values():
        if len(value or "") > 63:
            errors.append(FieldError.invalid("metadata.labels", value, "must be no more than 63 bytes"))
        if not _LABEL_VALUE.fullmatch(value or ""):
            errors.append(FieldError.invalid("metadata.labels", value, _LABEL_VALUE_SAYS))
    return errors


def _validate_keys(data: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in sorted(data):
        field = f"data[{key}]"
        if len(key) > 253:
            errors.append(FieldError.invalid(field, key, "must be no more than 253 bytes"))
        if not _DATA_KEY.fullmatch(key):
            errors.append(FieldError.invalid(field, key, _DATA_KEY_SAYS))
        if key in {".", ".."}:
            errors.append(FieldError.invalid(field, key, f"must not be '{key}'"))
        elif key.startswith(".."):
            errors.append(FieldError.invalid(field, key, "must not start with '..'"))
    return errors


def _validate_secret(document: Json) -> list[FieldError]:
    data = {key: base64.b64decode(value) for key, value in (document.get("data") or {}).items()}
    errors = _validate_keys(data)
    if sum(map(len, data.values())) > _MAX_SECRET:
        errors.append(FieldError("data", "FieldValueTooLong", f"may not be more than {_MAX_SECRET} bytes"))
    kind = document["type"]
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not (document["metadata"].get("annotations") or {}).get(name):
            errors.append(FieldError.required(f"metadata.annotations[{name}]"))
    elif kind in {"kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"}:
        key = ".dockercfg" if kind.endswith("dockercfg") else ".dockerconfigjson"
        if key not in data:
            errors.append(FieldError.required(f"data[{key}]"))
        elif why := _not_an_object(data[key]):
            errors.append(FieldError.invalid(f"data[{key}]", "<secret contents redacted>", why))
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        errors += [FieldError.required("data[username]"), FieldError.required("data[password]")]
    elif kind == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
        errors.append(FieldError.required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        errors += [FieldError.required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return errors


def _not_an_object(content: bytes) -> str:
    """Why Go's json.Unmarshal into a map would fail, or "". Null is accepted."""
    try:
        value = json.loads(content.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character '{error.doc[error.pos]}' looking for beginning of value"
    except RecursionError:
        return "exceeded max depth"
    if value is None or isinstance(value, dict):
        return ""
    return f"json: cannot unmarshal {go_type(value)} into Go value of type map[string]interface {{}}"


def _validate_pod(document: Json) -> list[FieldError]:
    spec = document.get("spec") or {}
    containers = spec.get("containers") or []
    errors = [] if containers else [FieldError.required("spec.containers")]
    for group in ("containers", "initContainers"):
        for at, container in enumerate(spec.get(group) or []):
            errors += [
                FieldError.required(f"spec.{group}[{at}].{key}") for key in ("name", "image") if not container.get(key)
            ]
    return errors


def validate_update(resource: Resource, before: Json, after: Json) -> None:
    """The rules that compare an object with what it was. Raises ApiError 422."""
    errors: list[FieldError] = []
    if resource.kind == "Secret" and after["type"] != before["type"]:
        errors.append(FieldError.invalid("type", after["type"], "field is immutable"))
    if resource.kind in {"Secret", "ConfigMap"} and before.get("immutable"):
        if not after.get("immutable"):
            errors.append(FieldError.forbidden("immutable", _FROZEN))
        if (after.get("data") or {}) != (before.get("data") or {}):
            errors.append(FieldError.forbidden("data", _FROZEN))
    if resource.kind == "Pod" and _frozen_part(before) != _frozen_part(after):
        errors.append(FieldError.forbidden("spec", _POD_FROZEN))
    if resource.kind.endswith("RoleBinding") and before.get("roleRef") != after.get("roleRef"):
        errors.append(FieldError.invalid("roleRef", after.get("roleRef"), "field is immutable"))
    if errors:
        raise ApiError.invalid(resource.kind, resource.group, after["metadata"]["name"], errors)


def _frozen_part(pod: Json) -> Json:
    spec = dict(pod.get("spec") or {})
    for group in ("containers", "initContainers"):
        spec[group] = [{key: value for key, value in item.items() if key != "image"} for item in spec.get(group) or []]
    return {key: value for key, value in spec.items() if key not in {"activeDeadlineSeconds", "tolerations"}}
