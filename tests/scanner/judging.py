"""Judging a handful of objects as the only Namespace of a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scanner import raw
from scanner.credential import Fingerprint
from scanner.elsewhere import Elsewhere
from scanner.policy import Policy
from scanner.verdict import Cell, Verdict, judge_all
from tests.objects import namespace_objects

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def verdicts(
    objects: list[raw.NamespaceObjects], elsewhere: Elsewhere | None = None, *, enabled: frozenset[str] = frozenset()
) -> list[Verdict]:
    policy = Policy(enabled=enabled)
    found = judge_all(objects, policy=policy, now=NOW, fingerprint=Fingerprint(b"test"), elsewhere=elsewhere)
    return list(found)


def verdict(*objects: dict[str, Any], **unreadable: str) -> Verdict:
    (found,) = verdicts([namespace_objects(list(objects), unreadable=unreadable)])
    return found


def cells(found: Verdict) -> dict[str, tuple[str, str]]:
    return {cell.credential: (str(cell.status), cell.reason) for cell in found.cells}


def only_cell(*objects: dict[str, Any], **unreadable: str) -> Cell:
    (cell,) = verdict(*objects, **unreadable).cells
    return cell


def steps(cell: Cell) -> list[tuple[str, str]]:
    return [(step.step, step.state) for step in cell.chain]


def account(*names: str) -> dict[str, Any]:
    secrets = [{"name": name} for name in names]
    return {"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": secrets}
