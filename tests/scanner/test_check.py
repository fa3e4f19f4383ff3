"""What the runner of checks promises: nothing that was not seen is fine, and nothing that fails is silent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from scanner.check import Check, Context, Problem, Question, Status, all_checks, check, rank, run_checks, worst
from scanner.policy import Policy
from scanner.snapshot import Snapshot

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def finds_one(context: Context) -> Iterator[Problem]:
    yield Problem(object="Secret/a", status=Status.CRITICAL, reason="missing", message="It is not here.")


def raises(context: Context) -> Iterator[Problem]:
    yield Problem(object="Secret/a", status=Status.WARNING, reason="latent", message="Half a result.")
    raise ValueError("hunter2")


def one(ask: Question = finds_one, *, needs: tuple[str, ...] = (), wants: tuple[str, ...] = ()) -> Check:
    return Check(code="XX01", name="made-up", needs=frozenset(needs), wants=frozenset(wants), ask=ask)


def context(policy: Policy | None = None, **unreadable: str) -> Context:
    return Context(snapshot=Snapshot(name="team", unreadable=unreadable), policy=policy or Policy(), now=NOW)


def test_a_result_bears_the_code_of_its_check() -> None:
    (result,) = run_checks(context(), [one()]).found

    assert (result.code, result.object, result.status) == ("XX01", "Secret/a", Status.CRITICAL)


def test_a_check_that_needs_what_was_refused_is_not_asked() -> None:
    results = run_checks(context(secrets="forbidden"), [one(raises, needs=("secrets",))])

    assert results.found == ()
    assert results.unasked == {"XX01": "secrets: forbidden"}


def test_a_check_that_wants_what_was_refused_gives_half_an_answer() -> None:
    results = run_checks(context(serviceaccounts="forbidden"), [one(wants=("serviceaccounts",))])

    assert len(results.found) == 1
    assert results.unasked == {"XX01": "serviceaccounts: forbidden"}


def test_a_check_that_raises_has_no_answer_and_its_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        results = run_checks(context(), [one(raises), one()])

    assert len(results.found) == 1
    assert results.unasked == {"XX01": "the check failed (ValueError)"}
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_check_that_raises_is_raised_in_tests() -> None:
    with pytest.raises(ValueError, match="hunter2"):
        run_checks(context(), [one(raises)], strict=True)


def test_an_ignored_code_is_not_asked() -> None:
    results = run_checks(context(Policy(ignored=frozenset({"XX01"}))), [one(raises)])

    assert (results.found, dict(results.unasked)) == ((), {})


def test_an_operator_may_give_a_code_another_status() -> None:
    (result,) = run_checks(context(Policy(statuses={"XX01": "warning"})), [one()]).found

    assert result.status is Status.WARNING


@pytest.mark.parametrize(("code", "name"), [("PS01", "new-name"), ("XX99", "missing-pull-secret"), ("X1", "short")])
def test_a_code_or_name_that_is_taken_or_malformed_is_refused_at_import(code: str, name: str) -> None:
    all_checks()

    with pytest.raises(RuntimeError):
        check(code, name, needs=())(finds_one)


def test_critical_is_worse_than_unknown_than_warning_than_ok() -> None:
    assert sorted(Status, key=rank) == [Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL]
    assert worst([]) is Status.OK
    assert worst([Status.UNKNOWN, Status.WARNING]) is Status.UNKNOWN
