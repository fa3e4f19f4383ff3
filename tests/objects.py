"""Kubernetes objects as `kubectl get -o json` prints them, written in YAML, made into what a scan reads.

A Secret may have `stringData`, as in a manifest, so that a test's values can be read.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from scanner import raw

KINDS: dict[str, str] = {
    "Secret": "secrets",
    "ServiceAccount": "service_accounts",
    "Pod": "pods",
    "Event": "events",
    "RoleBinding": "role_bindings",
}


def namespace_objects(
    objects: list[dict[str, Any]], *, name: str = "team-vision", unreadable: dict[str, str] | None = None
) -> raw.NamespaceObjects:
    """Sort `objects` by kind into one namespace. A kind whose resource is `unreadable` stays out, as in a real scan."""
    document: dict[str, Any] = {"namespace": {"metadata": {"name": name}}, "unreadable": unreadable or {}}
    for one in objects:
        if one["kind"] == "Namespace":
            document["namespace"] = one
        elif one["kind"].lower() + "s" not in document["unreadable"]:
            document.setdefault(KINDS[one["kind"]], []).append(_with_data(one))
    return msgspec.convert(document, raw.NamespaceObjects, strict=False)


def _with_data(one: dict[str, Any]) -> dict[str, Any]:
    if "stringData" not in one:
        return one
    texts = {key: base64.b64encode(text.encode()).decode() for key, text in one["stringData"].items()}
    return {**one, "data": {**one.get("data", {}), **texts}}
