"""The three patch formats that the demo API accepts: RFC 6902, RFC 7386 and the strategic merge of apimachinery."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any, Final

from dashboard.demo.status import ApiError, Json, go_type

__all__ = ["json_patch", "merge_patch", "strategic_merge_patch"]

# patchMergeKey of the lists in core/v1 types, by the name of the field.
_MERGE_KEYS: Final = {
    "imagePullSecrets": "name",
    "secrets": "name",
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "ports": "containerPort",
}
_DIRECTIVES: Final = ("$patch", "$retainKeys")


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes a key, lists are replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(target: Json, patch: Json, *, atomic: Collection[str] = ()) -> Json:
    """Like a merge patch, but lists with a merge key are merged by it; `$patch: delete|replace` and
    `$deleteFromPrimitiveList` are obeyed.

    Lists in `atomic` are replaced as a whole, without their directives.
    """
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key not in _DIRECTIVES}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(target)
    for key, value in patch.items():
        if key in _DIRECTIVES or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            merged[name] = [item for item in merged.get(name) or [] if item not in value]
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = strategic_merge_patch(before if isinstance(before, dict) else {}, value)
        elif isinstance(value, list) and key in atomic:
            merged[key] = [{k: v for k, v in item.items() if k not in _DIRECTIVES} for item in value]
        elif isinstance(value, list) and key in _MERGE_KEYS:
            merged[key] = _merge_list(merged.get(key) or [], value, _MERGE_KEYS[key])
        elif isinstance(value, list) and key == "finalizers":
            merged[key] = list(dict.fromkeys([*(merged.get(key) or []), *value]))
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _merge_list(target: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    if not all(isinstance(item, dict) for item in patch):
        return copy.deepcopy(patch)
    if any(item.get("$patch") == "replace" and merge_key not in item for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    # The result keeps the order of the patch for the elements it names, then the ones it does not (SortByMergeOrder).
    by_key = {item.get(merge_key): item for item in target if isinstance(item, dict)}
    named = {item.get(merge_key) for item in patch}
    merged = [
        strategic_merge_patch(by_key.get(item.get(merge_key), {}), item)
        for item in patch
        if item.get("$patch") != "delete"
    ]
    kept = [item for item in target if not (isinstance(item, dict) and item.get(merge_key) in named)]
    return merged + kept


def json_patch(target: Json, operations: Any) -> Json:
    """RFC 6902. Raises ApiError 400 for a body that is no patch, 422 for an operation that cannot be done."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise ApiError.bad_request(
            f"error decoding patch: json: cannot unmarshal {go_type(operations)} into Go value of type "
            "[]handlers.jsonPatchOp"
        )
    holder: dict[str, Any] = {"": copy.deepcopy(target)}
    for operation in operations:
        try:
            _apply(holder, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError.unprocessable_patch() from error
    result = holder[""]
    if not isinstance(result, dict):
        raise ApiError.unprocessable_patch()
    return result


def _apply(holder: Json, operation: Json) -> None:
    name, path = operation["op"], _pointer(operation["path"])
    if name == "test":
        if _get(holder, path) != operation.get("value"):
            raise ValueError("the test failed")
    elif name == "remove":
        _remove(holder, path)
    elif name == "replace":
        _get(holder, path)
        _set(holder, path, operation["value"], replace=True)
    elif name == "add":
        _set(holder, path, operation["value"])
    elif name in {"copy", "move"}:
        source = _pointer(operation["from"])
        value = copy.deepcopy(_get(holder, source))
        if name == "move":
            _remove(holder, source)
        _set(holder, path, value)
    else:
        raise ValueError("an unknown operation")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer starts with a slash")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")]


def _index(step: str) -> int:
    if not step.isdecimal():
        raise ValueError("not an index")
    return int(step)


def _get(holder: Any, path: list[str]) -> Any:
    for step in path:
        holder = holder[_index(step)] if isinstance(holder, list) else holder[step]
    return holder


def _set(holder: Json, path: list[str], value: Any, *, replace: bool = False) -> None:
    parent = _get(holder, path[:-1])
    if not isinstance(parent, list):
        parent[path[-1]] = copy.deepcopy(value)
    elif replace:
        parent[_index(path[-1])] = copy.deepcopy(value)
    else:
        at = len(parent) if path[-1] == "-" else _index(path[-1])
        if at > len(parent):
            raise IndexError("beyond the end of the list")
        parent.insert(at, copy.deepcopy(value))


def _remove(holder: Json, path: list[str]) -> None:
    parent = _get(holder, path[:-1])
    if isinstance(parent, list):
        del parent[_index(path[-1])]
    else:
        del parent[path[-1]]
