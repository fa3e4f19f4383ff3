"""What a drawer says, whatever page it is on: causes in order, commands, why a check matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard import drawer
from scanner.check import all_checks

QUAY = "registry/quay.io"
NOW = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)


def a_finding(**fields: Any) -> drawer.FindingRow:
    values = {
        "code": "PS01",
        "object": "Secret/a",
        "credential": QUAY,
        "status": "critical",
        "reason": "missing",
        "message": "Gone.",
        "first_seen_at": NOW - timedelta(days=2),
        "resolved_at": None,
        "details": {},
    }
    return drawer.FindingRow(**{**values, **fields})


def test_the_same_cause_is_told_once_and_before_what_pods_say() -> None:
    pods = [a_finding(code="PO01", object=f"Pod/{n}") for n in range(14)]

    told = drawer.explain([*pods, a_finding()], all_checks())

    assert [(one.code, one.more) for one in told] == [("PS01", 0), ("PO01", 13)]


def test_commands_quote_what_a_shell_would_read() -> None:
    (command,) = drawer.look_commands(namespace="a b", secret="$(x)", pods=(), accounts=())

    assert command == "kubectl describe secret '$(x)' --namespace 'a b'"


def test_every_check_says_why_it_matters_and_how_to_fix_it() -> None:
    for check in all_checks().values():
        why, how = drawer.why_and_how(check.ask.__doc__ or "")
        assert why, check.code
        assert how, check.code
