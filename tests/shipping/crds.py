"""crds.yaml as CustomResourceDefinitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

Json = Any

_FILE: Final = Path(__file__).with_suffix(".yaml")


def definitions() -> list[Json]:
    """One CustomResourceDefinition for each kind."""
    return [_definition(**one) for one in yaml.safe_load(_FILE.read_text(encoding="utf-8"))]


def _definition(*, group: str, version: str, kind: str, plural: str, spec: Json) -> Json:
    schema = {"type": "object", "properties": {"spec": _schema(spec)}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Of the groups that Kubernetes keeps to itself only approved ones are let in.
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a copy for tests"},
        },
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


def _schema(told: Json) -> Json:
    """`{field: …}`, `[of what]`, "map" of texts, "A|B" of choices, or a type; with "!" the field is required."""
    if isinstance(told, dict):
        required = [name for name, of in told.items() if isinstance(of, str) and of.endswith("!")]
        properties = {name: _schema(of) for name, of in told.items()}
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}
    if isinstance(told, list):
        return {"type": "array", "items": _schema(told[0])}
    word = told.removesuffix("!")
    if word == "map":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if "|" in word:
        return {"type": "string", "enum": word.split("|")}
    return {"type": "string", "minLength": 1} if word == "name" else {"type": word}
