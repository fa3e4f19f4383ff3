"""Every check against its cases in `<CODE>.yaml`, and the rules that every check obeys."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import scanner.checks
from scanner.check import Context, Result, all_checks, run_checks
from scanner.credential import Fingerprint
from scanner.elsewhere import Elsewhere
from scanner.policy import Policy
from scanner.policy_file import read_policy
from scanner.snapshot import build_snapshot
from tests.objects import namespace_objects
from tests.tables import table

FOLDER = Path(__file__).parent
CASES: dict[str, dict[str, dict[str, Any]]] = {
    file.stem: table(file)["cases"] for file in sorted(FOLDER.glob("*.yaml"))
}
NOW = datetime(2026, 9, 1, tzinfo=UTC)
FINGERPRINT = Fingerprint(b"test")
COMPARED = ("object", "status", "reason", "credential")


def context_of(case: dict[str, Any]) -> Context:
    objects = namespace_objects(case["objects"], unreadable=case.get("unreadable"))
    elsewhere = Elsewhere()
    for namespace, pull_secrets in case.get("elsewhere", {}).items():
        elsewhere.add(namespace, pull_secrets)
    if others := case.get("other_namespaces"):
        other = build_snapshot(namespace_objects(others["objects"]), fingerprint=FINGERPRINT)
        for number in range(others["count"]):
            elsewhere.add(f"other-{number}", other.pull_secret_keys(), other.fingerprints())
    return Context(
        snapshot=build_snapshot(objects, fingerprint=FINGERPRINT),
        policy=policy_of(case),
        now=case.get("now", NOW),
        elsewhere=elsewhere,
    )


def policy_of(case: dict[str, Any]) -> Policy:
    """What the case states as a policy file would; checks that are asked on request are always asked here."""
    policy = read_policy(yaml.safe_dump(case.get("policy", {})), name="policy")
    on_request = frozenset(one.code for one in all_checks().values() if one.on_request)
    return replace(
        policy,
        enabled=on_request,
        required_registries=policy.required_registries.union(case.get("required_registries", ())),
    )


def results_of(code: str, case: dict[str, Any]) -> list[Result]:
    found = run_checks(context_of(case), [all_checks()[code]], strict=True).found
    return sorted(found, key=lambda result: (result.object, result.credential))


@pytest.mark.parametrize(
    ("code", "name"), [pytest.param(code, name, id=f"{code}-{name}") for code, cases in CASES.items() for name in cases]
)
def test_a_check_finds_what_its_case_says(code: str, name: str) -> None:
    case = CASES[code][name]

    found = results_of(code, case)

    expected = sorted(case["results"], key=lambda one: (one["object"], one.get("credential", "")))
    fields = [[field for field in COMPARED if field in one] for one in expected]
    assert [{f: str(getattr(r, f)) for f in fs} for r, fs in zip(found, fields, strict=False)] == [
        {f: one[f] for f in fs} for one, fs in zip(expected, fields, strict=True)
    ]
    assert len(found) == len(expected)
    for result, one in zip(found, expected, strict=True):
        for text in one.get("says", ()):
            assert text in result.message
        for key, value in one.get("details", {}).items():
            assert result.details[key] == value


@pytest.mark.parametrize(
    ("code", "name"), [pytest.param(code, name, id=f"{code}-{name}") for code, cases in CASES.items() for name in cases]
)
def test_a_message_is_one_sentence_of_bounded_length(code: str, name: str) -> None:
    for result in results_of(code, CASES[code][name]):
        assert result.message.endswith(".")
        assert result.message[0].isupper() or result.object.endswith(result.message.split()[0])
        assert len(result.message) < 1000
        assert result.message.isprintable()


@pytest.mark.parametrize("code", all_checks())
def test_every_check_has_a_case_that_fires_and_one_that_is_clean(code: str) -> None:
    results = [bool(case["results"]) for case in CASES.get(code, {}).values()]

    assert True in results
    assert False in results


@pytest.mark.parametrize("code", all_checks())
def test_every_check_says_why_it_matters_and_how_to_fix_it(code: str) -> None:
    lines = (all_checks()[code].ask.__doc__ or "").strip().splitlines()

    assert lines[0].endswith(".")
    assert lines[1] == ""
    sections = [line.strip().partition(":")[0] for line in lines[2:]]
    assert sections.index("Why it matters") < sections.index("How to fix")


def test_every_check_stands_in_the_file_that_bears_its_code_and_name() -> None:
    files = {file.stem for file in Path(scanner.checks.__path__[0]).glob("[!_]*.py")}

    assert files == {f"{one.code.lower()}_{one.name.replace('-', '_')}" for one in all_checks().values()}


def test_every_file_of_cases_belongs_to_a_check() -> None:
    assert set(CASES) <= set(all_checks())


def test_codes_are_two_letters_and_two_digits_in_order() -> None:
    assert all(re.fullmatch(r"[A-Z]{2}[0-9]{2}", code) for code in all_checks())
    assert list(all_checks()) == sorted(all_checks())
