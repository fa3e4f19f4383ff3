"""Label and field selectors (apimachinery pkg/labels and pkg/fields)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dashboard.demo.resources import Resource
from dashboard.demo.status import ApiError, Json

__all__ = ["field_selector", "label_selector", "label_terms", "selected_name"]

Matches = Callable[[Json], bool]
_SET: Final = re.compile(r"^(?P<key>[^\s=!,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL: Final = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s=!]*)$")
_EXISTS: Final = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s=!,()]+)$")
_FIELD: Final = re.compile(r"^(?P<key>[^=!]+?)(?P<op>==|=|!=)(?P<value>.*)$", re.DOTALL)
_PATHS: Final = {"metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace")}


def label_terms(text: str) -> list[str]:
    """The requirements of a label selector, split at commas outside parentheses."""
    return [term.strip() for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def label_selector(text: str) -> Matches:
    """A test for objects. Raises ApiError 400 for a selector that cannot be read."""
    tests = [_requirement(term) for term in label_terms(text)]
    return lambda document: all(test((document.get("metadata") or {}).get("labels") or {}) for test in tests)


def _requirement(term: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.match(term):
        key, wanted, within = match["key"], {value.strip() for value in match["values"].split(",")}, match["op"] == "in"
        return lambda labels: (labels[key] in wanted) is within if key in labels else not within
    if match := _EQUAL.match(term):
        key, value, equal = match["key"], match["value"], match["op"] != "!="
        return lambda labels: (labels[key] == value) is equal if key in labels else not equal
    if match := _EXISTS.match(term):
        key, absent = match["key"], bool(match["absent"])
        return lambda labels: (key in labels) is not absent
    raise ApiError.bad_request(
        f"unable to parse requirement: found '{term}', expected: a label key with an optional operator"
    )


def field_selector(text: str, resource: Resource) -> Matches:
    """A test for objects. Raises ApiError 400 for a label that this resource cannot be selected by."""
    tests: list[Matches] = []
    for term in filter(None, re.split(r"(?<!\\),", text)):
        match = _FIELD.match(term)
        if match is None:
            raise ApiError.bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        key, equal, value = match["key"], match["op"] != "!=", re.sub(r"\\([\\,=])", r"\1", match["value"])
        if key not in resource.selectable and not (key == "name" and resource.plural == "namespaces"):
            if resource.label_conversion:
                raise ApiError.bad_request(f"field label not supported: {key}")
            raise ApiError.bad_request(
                f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )
        tests.append(_field_test("metadata.name" if key == "name" else key, value, equal))
    return lambda document: all(test(document) for test in tests)


def _field_test(key: str, value: str, equal: bool) -> Matches:
    path = _PATHS.get(key) or tuple(key.split("."))
    if key == "source":
        path = ("source", "component")

    def test(document: Json) -> bool:
        found: object = document
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        text = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return (text == value) is equal

    return test


def selected_name(text: str) -> str:
    """The object name that a field selector pins down (RBAC's resourceNames apply to such a LIST), or ""."""
    match = re.fullmatch(r"metadata\.name==?([^,=!]+)", text)
    return match[1] if match else ""
