"""The policy file: what an operator requires, overrides and ignores, read from YAML, and told again in words.

A mistake is named with its line and what to write instead. `manage.py policy FILE` checks a file; `docs/policy.md` has
all that it may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, TypeVar

import yaml

from scanner.check import RETIRED, all_checks
from scanner.credential import credential_kinds
from scanner.image import InvalidImage, parse_image
from scanner.label_selector import InvalidSelector, LabelRule, parse_label_selector
from scanner.policy import Exemption, Namespaces, Policy, Requirement, Thresholds

T = TypeVar("T")

DEFAULT: Final = "default"
_SECTIONS: Final = ("requirements", "required_registries", "statuses", "ignored", "enabled", "thresholds")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_OBJECT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_GLOB: Final = re.compile(r"[a-z0-9*?\[\]!-]{1,63}")
_LONGEST_THRESHOLD: Final = 3650


class BadPolicy(ValueError):
    """A policy file that cannot be used. `problems` has a sentence for each mistake, with its line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Mistake(Exception):
    def __init__(self, node: yaml.Node, words: str) -> None:
        super().__init__(words)
        self.line = node.start_mark.line + 1


def read_policy(text: str, *, name: str) -> Policy:
    """The policy that `text` states; an empty one states nothing. `name` is the file's, for messages.

    Raises BadPolicy with every mistake that was found.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise BadPolicy([f"{where}: this is not YAML: {error.problem or error.context}."]) from None
    except yaml.YAMLError:
        raise BadPolicy([f"{name}: it holds characters that YAML does not allow."]) from None
    if root is None:
        return Policy()
    reader = _Reader(name)
    policy = reader.policy(root)
    if reader.problems:
        raise BadPolicy(reader.problems)
    return policy


class _Reader:
    """Reads on after a mistake, so that all of them are told at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.problems: list[str] = []

    def policy(self, root: yaml.Node) -> Policy:
        found = self._try("", root, lambda node: _fields(node, _SECTIONS)) or {}
        requirements = self._entries("requirements", found, _requirement)
        statuses = self._entries("statuses", found, _status)
        thresholds = self._thresholds(found.get("thresholds"))
        default = thresholds.pop(DEFAULT, Thresholds(Policy().expiring_warning, Policy().expiring_critical))
        self._unique("requirements", found, [one.name for one in requirements])
        self._unique("statuses", found, [code for code, _, _ in statuses])
        return Policy(
            expiring_warning=default.warning,
            expiring_critical=default.critical,
            thresholds=MappingProxyType(thresholds),
            statuses=MappingProxyType({code: status for code, status, _ in statuses}),
            reasons=MappingProxyType({code: reason for code, _, reason in statuses}),
            exemptions=tuple(self._entries("ignored", found, _exemption)),
            enabled=frozenset(self._entries("enabled", found, _enabled)),
            requirements=tuple(requirements),
            required_registries=frozenset(self._entries("required_registries", found, _registry)),
        )

    def _entries(self, section: str, found: Mapping[str, yaml.Node], read: Callable[[yaml.Node], T]) -> list[T]:
        """The entries of a list that could be read."""
        node = found.get(section)
        if node is None:
            return []
        entries = self._try(section, node, _list) or []
        read_ones = [self._try(f"{section}[{number}]", entry, read) for number, entry in enumerate(entries)]
        return [one for one in read_ones if one is not None]

    def _thresholds(self, node: yaml.Node | None) -> dict[str, Thresholds]:
        if node is None:
            return {}
        kinds = (DEFAULT, *sorted(credential_kinds()))
        found = self._try("thresholds", node, lambda one: _fields(one, kinds)) or {}
        read = {kind: self._try(f"thresholds.{kind}", entry, _threshold) for kind, entry in found.items()}
        return {kind: one for kind, one in read.items() if one is not None}

    def _unique(self, section: str, found: Mapping[str, yaml.Node], names: list[str]) -> None:
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._tell(found[section].start_mark.line + 1, section, f"{name} is there more than once; keep one entry")

    def _try(self, path: str, node: yaml.Node, read: Callable[[yaml.Node], T]) -> T | None:
        try:
            return read(node)
        except _Mistake as mistake:
            self._tell(mistake.line, path, str(mistake))
            return None

    def _tell(self, line: int, path: str, words: str) -> None:
        self.problems.append(f"{self._name}, line {line}{f', {path}' if path else ''}: {words}.")


def _requirement(node: yaml.Node) -> Requirement:
    found = _fields(
        node, ("name", "namespaces", "credential", "secret", "service_accounts"), needs=("name", "credential")
    )
    name = _text(found["name"])
    if not _NAME.fullmatch(name):
        raise _Mistake(found["name"], "a name is letters, digits, '-', '_' and '.', for example pipelines-pull")
    accounts = tuple(_texts(found.get("service_accounts"), _object_name))
    credential = _credential(found["credential"])
    if accounts and not credential.startswith("registry/"):
        raise _Mistake(
            found["service_accounts"], "a ServiceAccount links pull Secrets only; remove it, or require registry/…"
        )
    return Requirement(
        name=name,
        namespaces=_namespaces(found.get("namespaces")),
        credential=credential,
        secret=_object_name(found["secret"]) if "secret" in found else "",
        service_accounts=accounts,
    )


def _credential(node: yaml.Node) -> str:
    text = _text(node)
    family, separator, host = text.partition("/")
    if family != "registry":
        if re.fullmatch(r"[a-z][a-z0-9-]{0,40}(?:/[!-~]{1,150})?", text):
            return text
        raise _Mistake(node, "write the column of the matrix, for example registry/harbor.example.com or tls")
    try:
        registry = parse_image(f"{host}/any").registry
    except InvalidImage:
        registry = ""
    if not separator or registry != host:
        remedy = f"registry/{registry}" if registry and registry != "docker.io" else "registry/harbor.example.com"
        raise _Mistake(node, f"a registry is its host with its port, without scheme or path, as in {remedy}")
    return text


def _registry(node: yaml.Node) -> str:
    text = _text(node)
    try:
        if parse_image(f"{text}/any").registry == text:
            return text
    except InvalidImage:
        pass
    raise _Mistake(node, "a registry is its host with its port, for example harbor.example.com or docker.io")


def _namespaces(node: yaml.Node | None) -> Namespaces:
    if node is None:
        return Namespaces()
    if not isinstance(node, yaml.MappingNode):
        return Namespaces(names=tuple(_texts(node, _glob)))
    found = _fields(node, ("names", "except", "labels", "selector"))
    rules: list[LabelRule] = []
    if "labels" in found:
        labels = _mapping(found["labels"])
        rules += [
            LabelRule(key=label, operator="in", values=frozenset({_text(value, empty=True)}))
            for label, value in labels.items()
        ]
    if "selector" in found:
        try:
            rules += parse_label_selector(_text(found["selector"])).rules
        except InvalidSelector as error:
            raise _Mistake(
                found["selector"],
                f"this is no label selector: {error}; write it as for kubectl get -l, "
                "for example team=vision,stage!=test",
            ) from None
    names, but = (tuple(_texts(found.get(field), _glob)) for field in ("names", "except"))
    return Namespaces(names=names, but=but, labels=tuple(rules))


def _status(node: yaml.Node) -> tuple[str, str, str]:
    found = _fields(node, ("code", "status", "reason"), needs=("code", "status", "reason"))
    status = _text(found["status"])
    if status not in ("warning", "critical"):
        raise _Mistake(
            found["status"], "a status is warning or critical; what is not to be told at all belongs under ignored"
        )
    return _code(found["code"]), status, _text(found["reason"])


def _exemption(node: yaml.Node) -> Exemption:
    found = _fields(node, ("code", "reason", "namespaces", "until"), needs=("code", "reason"))
    return Exemption(
        code=_code(found["code"]),
        reason=_text(found["reason"]),
        namespaces=_namespaces(found.get("namespaces")),
        until=_end_of_day(found["until"]) if "until" in found else None,
    )


def _enabled(node: yaml.Node) -> str:
    code = _code(node)
    if not all_checks()[code].on_request:
        on_request = [one.code for one in all_checks().values() if one.on_request]
        raise _Mistake(node, f"{code} is always asked; only these wait to be enabled: {', '.join(on_request)}")
    return code


def _code(node: yaml.Node) -> str:
    text = _text(node)
    known = all_checks()
    for one in known.values():
        if text in (one.code, one.name):
            return one.code
    if text in RETIRED:
        raise _Mistake(node, f"{text} is retired: no check has this code any more; remove the entry")
    near = get_close_matches(text, [*known, *(one.name for one in known.values())], n=1)
    raise _Mistake(
        node, f"there is no check {text!r}" + (f"; did you mean {near[0]}?" if near else ", see docs/checks.md")
    )


def _threshold(node: yaml.Node) -> Thresholds:
    found = _fields(node, ("warning", "critical"), needs=("warning", "critical"))
    warning, critical = _days(found["warning"]), _days(found["critical"])
    if critical > warning:
        raise _Mistake(found["critical"], "critical days come after warning days, so the number must not be larger")
    return Thresholds(warning, critical)


def _days(node: yaml.Node) -> timedelta:
    value = node.value if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":int") else ""
    if not re.fullmatch(r"\d{1,4}", value) or int(value) > _LONGEST_THRESHOLD:
        raise _Mistake(node, f"write whole days, 0 to {_LONGEST_THRESHOLD}, for example 30")
    return timedelta(days=int(value))


def _end_of_day(node: yaml.Node) -> datetime:
    """The moment after the day that is named, in UTC."""
    value = node.value if isinstance(node, yaml.ScalarNode) else ""
    try:
        return datetime.combine(date.fromisoformat(value) + timedelta(days=1), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        raise _Mistake(node, "write the last day as a date, for example 2030-01-31") from None


def _object_name(node: yaml.Node) -> str:
    text = _text(node)
    if not _OBJECT_NAME.fullmatch(text):
        raise _Mistake(node, f"{text!r} is no name of a Kubernetes object: lower case letters, digits, '-' and '.'")
    return text


def _glob(node: yaml.Node) -> str:
    text = _text(node)
    if not _GLOB.fullmatch(text):
        raise _Mistake(node, f"{text!r} matches no Namespace: write a name or a glob such as team-*")
    return text


def _fields(node: yaml.Node, allowed: tuple[str, ...], *, needs: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
    """The fields of a mapping, all of them `allowed`, and all of `needs` among them."""
    found = _mapping(node)
    for name in found:
        if name not in allowed:
            near = get_close_matches(name, allowed, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"
            raise _Mistake(_key_node(node, name), f"{name!r} is nothing that can stand here; {remedy}")
    for name in needs:
        if name not in found:
            raise _Mistake(node, f"{name!r} is missing")
    return found


def _mapping(node: yaml.Node) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _Mistake(node, "this should be fields, one a line, such as 'name: value'")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key)
        if name in found:
            raise _Mistake(key, f"{name!r} is there twice")
        found[name] = value
    return found


def _key_node(node: yaml.Node, name: str) -> yaml.Node:
    return next((key for key, _ in node.value if key.value == name), node)


def _list(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Mistake(node, "this should be a list: one entry a line, each begun with '- '")
    return list(node.value)


def _texts(node: yaml.Node | None, read: Callable[[yaml.Node], str]) -> Iterator[str]:
    """A list, or a single entry without a list."""
    if node is None:
        return
    for entry in _list(node) if isinstance(node, yaml.SequenceNode) else [node]:
        yield read(entry)


def _text(node: yaml.Node, *, empty: bool = False) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Mistake(node, "this should be a single text")
    text = str(node.value).strip()
    if (not text or node.tag.endswith(":null")) and not empty:
        raise _Mistake(node, "this is empty")
    return text
