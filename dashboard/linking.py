"""How a pull Secret that lies beside the Pods gets into them: findings in, commands out. No Django, no clock."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dashboard.drawer import FindingRow

_LIST: Final = "/imagePullSecrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linking:
    """`commands` make the `links`, pairs of ServiceAccount and Secret; both are empty where no link helps. Pods of
    `own_lists` get nothing from their ServiceAccounts, so that `secret` must stand in their Pod template."""

    secret: str
    links: tuple[tuple[str, str], ...]
    commands: str
    own_lists: tuple[str, ...]


def linking(findings: Iterable[FindingRow], *, namespace: str) -> Linking | None:
    """What the findings of one cell want linked; None when they want nothing, or were stored by an older version."""
    to_link: dict[str, str] = {}
    secrets: list[str] = []
    own_lists: list[str] = []
    for finding in findings:
        secret = finding.details.get("secret")
        if finding.reason != "unlinked" or not isinstance(secret, str) or not secret:
            continue
        accounts, pods = _names(finding.details.get("to_link")), _names(finding.details.get("own_lists"))
        if accounts or pods:
            secrets.append(secret)
        for account in accounts:
            to_link.setdefault(account, secret)
        own_lists += pods
    if not secrets:
        return None
    commands = [link_command(namespace=namespace, account=account, secret=one) for account, one in to_link.items()]
    return Linking(
        secret=secrets[0],
        links=tuple(to_link.items()),
        commands="\n".join(commands),
        own_lists=tuple(dict.fromkeys(own_lists)),
    )


def link_command(*, namespace: str, account: str, secret: str) -> str:
    """The shell command that adds `secret` to the pull Secrets of a ServiceAccount and drops none that is there.

    The list is atomic (core/v1 types.go: no patchStrategy in ServiceAccount), so that a merge patch would replace it. A
    JSON patch adds to it, where there is one: the first makes the list and does nothing where there is one already.
    """
    entry = {"name": secret}
    is_absent = {"op": "test", "path": _LIST, "value": None}
    first = _patch(namespace, account, [is_absent, {"op": "add", "path": _LIST, "value": [entry]}])
    further = _patch(namespace, account, [{"op": "add", "path": f"{_LIST}/-", "value": entry}])
    return f"{first} ||\n  {further}"


def _patch(namespace: str, account: str, steps: list[dict[str, Any]]) -> str:
    at = ["--namespace", namespace, "--type", "json"]
    return shlex.join(
        ["kubectl", "patch", "serviceaccount", account, *at, "--patch", json.dumps(steps, separators=(",", ":"))]
    )


def _names(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str) and one] if isinstance(value, list) else []
