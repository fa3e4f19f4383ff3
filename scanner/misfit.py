"""Secrets with a docker config that the kubelet passes over: of the wrong type, in the wrong form, without logins.

The rule is that of `pkg/credentialprovider/secrets/secrets.go`: a Secret counts only if its type and its data key
belong together, and each type has a form of its own. What does not fit is no error anywhere, only an anonymous pull.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.docker_config import (
    DATA_KEYS,
    DOCKER_CFG,
    DOCKER_CONFIG_JSON,
    Entry,
    MalformedPullSecret,
    parse_entries,
)

_HELPERS: Final = ("credsStore", "credHelpers")
#: A docker config has a handful of registries; more are not told.
_MOST_KEYS: Final = 50


@dataclass(frozen=True, slots=True)
class Misfit:
    """`words` say what does not fit: "it holds ...". `keys` are the normalised keys that it would have if it fitted."""

    words: str
    keys: tuple[str, ...] = ()


def find_misfit(secret_type: str, data: Mapping[str, bytes], entries: Sequence[Entry]) -> Misfit | None:
    """Why the kubelet finds nothing in a Secret that holds, or should hold, a docker config; None if it does.

    `entries` are what it finds (`docker_config.parse_entries`). A Secret of another type without such data is none.
    """
    if secret_type not in DATA_KEYS:
        for right_type, data_key in DATA_KEYS.items():
            if data_key in data:
                words = f"it holds {data_key}, which counts only with the type {right_type}"
                return Misfit(words, _keys(right_type, data))
        return None
    if secret_type == DOCKER_CFG and any(entry.raw_key.lower() == "auths" for entry in entries):
        inner = {DATA_KEYS[DOCKER_CONFIG_JSON]: data[DATA_KEYS[DOCKER_CFG]]}
        words = f'it holds "auths", which belongs into the type {DOCKER_CONFIG_JSON}'
        return Misfit(words, _keys(DOCKER_CONFIG_JSON, inner))
    if not entries:
        return _empty(secret_type, data)
    if not any(entry.logs_in for entry in entries) and any(entry.ignored_fields for entry in entries):
        ignored = sorted({name for entry in entries for name in entry.ignored_fields})
        words = f"it holds no user name and password, only {', '.join(ignored)}, which the kubelet does not read"
        return Misfit(words, _usable(entries))
    return None


def _empty(secret_type: str, data: Mapping[str, bytes]) -> Misfit:
    data_key = DATA_KEYS[secret_type]
    value = data.get(data_key, b"")
    if secret_type == DOCKER_CONFIG_JSON:
        flat = {DATA_KEYS[DOCKER_CFG]: value}
        if keys := tuple(key for key in _keys(DOCKER_CFG, flat) if "." in key or ":" in key):
            return Misfit(f'it has its registries not under "auths", as the old type {DOCKER_CFG} has them', keys)
        text = value[:100_000].lower()
        for helper in _HELPERS:
            if f'"{helper.lower()}"'.encode() in text:
                return Misfit(f"it holds no login, only {helper}: the logins are on the computer that it comes from")
        return Misfit(f'no registry is under "auths" in {data_key}')
    return Misfit(f"no registry is in {data_key}")


def _keys(secret_type: str, data: Mapping[str, bytes]) -> tuple[str, ...]:
    try:
        return _usable(parse_entries(secret_type, data))
    except MalformedPullSecret:
        return ()


def _usable(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.key for entry in entries if entry.key))[:_MOST_KEYS]
