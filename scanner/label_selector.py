"""Label selectors where no API server applies them: in the policy file, and for Namespaces that may be read one by one
but not listed.

Source: apimachinery `pkg/labels/selector.go` (Parse, Requirement.Matches); what keys and values may be comes from
`pkg/util/validation` (IsQualifiedName, IsValidLabelValue).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["in", "notin", "exists", "absent", "<", ">"]

_TOKEN: Final = re.compile(r"==|!=|[=!(),<>]|[^\s=!(),<>]+")
_OPERATORS: Final[Mapping[str, Operator]] = {
    "=": "in",
    "==": "in",
    "!=": "notin",
    "in": "in",
    "notin": "notin",
    "<": "<",
    ">": ">",
}
_WORD: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/")


class InvalidSelector(ValueError):
    """The text is no label selector; `str()` says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """One condition of a label selector."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case "notin":
                # An object without the label is not in the set either (Requirement.Matches).
                return value not in self.values
        if value is None or not re.fullmatch(r"[-+]?[0-9]+", value):
            return False
        (bound,) = self.values
        return int(value) < int(bound) if self.operator == "<" else int(value) > int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of its rules must hold; without any, everything matches."""

    rules: tuple[LabelRule, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(one.matches(labels) for one in self.rules)


def parse_label_selector(text: str) -> LabelSelector:
    """Read what `kubectl -l` takes. Raises InvalidSelector."""
    tokens = _TOKEN.findall(text)
    if not tokens:
        return LabelSelector(())
    found = []
    while True:
        found.append(_rule(tokens))
        if not tokens:
            return LabelSelector(tuple(found))
        if tokens.pop(0) != "," or not tokens:
            raise InvalidSelector("its conditions are not parted by single commas")


def _rule(tokens: list[str]) -> LabelRule:
    absent = tokens[0] == "!"
    key = _key(_next(tokens[1:])) if absent else _key(tokens[0])
    del tokens[: 2 if absent else 1]
    if absent or not tokens or tokens[0] == ",":
        return LabelRule(key=key, operator="absent" if absent else "exists")
    sign = tokens.pop(0)
    if sign not in _OPERATORS:
        raise InvalidSelector(f"{key!r} is followed by {sign!r}, which is no operator")
    if sign in ("in", "notin"):
        return LabelRule(key=key, operator=_OPERATORS[sign], values=_set(tokens, key))
    value = "" if not tokens or tokens[0] == "," else _value(tokens.pop(0))
    if sign in ("<", ">") and not re.fullmatch(r"[0-9]+", value):
        raise InvalidSelector(f"{key!r} can be {sign} a whole number only")
    return LabelRule(key=key, operator=_OPERATORS[sign], values=frozenset([value]))


def _set(tokens: list[str], key: str) -> frozenset[str]:
    if ")" not in tokens or tokens.pop(0) != "(":
        raise InvalidSelector(f"the values of {key!r} must stand in parentheses")
    end = tokens.index(")")
    inside = tokens[:end]
    del tokens[: end + 1]
    if not inside:
        raise InvalidSelector(f"{key!r} needs at least one value in its parentheses")
    values, last = set[str](), ","
    for word in [*inside, ","]:
        if word == "," == last:
            values.add("")
        elif word != ",":
            if last != ",":
                raise InvalidSelector(f"the values of {key!r} are not parted by commas")
            values.add(_value(word))
        last = word
    return frozenset(values)


def _next(tokens: list[str]) -> str:
    if not tokens:
        raise InvalidSelector("it ends after an exclamation mark")
    return tokens[0]


def _key(token: str) -> str:
    prefix = _PREFIX.match(token)
    if not _WORD.fullmatch(token[prefix.end() :] if prefix else token):
        raise InvalidSelector(f"{token!r} cannot be the key of a label")
    return token


def _value(token: str) -> str:
    if not _WORD.fullmatch(token):
        raise InvalidSelector(f"{token!r} cannot be the value of a label")
    return token
