"""Verdicts as a table, as JSON and as JUnit, with what strangers may have written into a cluster."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from scanner.check import Result, Status
from scanner.render import Report, any_critical, as_json, as_junit, as_table, plain, rfc3339
from scanner.snapshot import Snapshot
from scanner.verdict import Cell, Verdict

NOW = datetime(2026, 3, 1, 12, 0, 0, 999, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202eabc\r\nnext\x00\ud800\ufffe"


def finding(status: Status, credential: str = "", **changes: Any) -> Result:
    facts = {"code": "PS01", "object": "Secret/regcred", "reason": "missing", "message": "It is not here."}
    return Result(status=status, credential=credential, **(facts | changes))


def cell(status: Status, credential: str = "registry/quay.io", **facts: Any) -> Cell:
    return Cell(credential=credential, status=status, reason="" if status is Status.OK else "missing", **facts)


def verdict(name: str, status: Status, **facts: Any) -> Verdict:
    given = {"cells": (), "findings": (), "unasked": {}} | facts
    return Verdict(snapshot=Snapshot(name=name), status=status, reason="", **given)


def report(*verdicts: Verdict) -> Report:
    return Report(cluster="prod", scanned_at=NOW, verdicts=verdicts)


def test_json_has_the_fixed_shape_and_nothing_else() -> None:
    bad = verdict(
        "a",
        Status.CRITICAL,
        cells=(cell(Status.CRITICAL, expires_at=NOW), cell(Status.OK, "tls")),
        findings=(finding(Status.CRITICAL, "registry/quay.io"),),
    )

    assert json.loads(as_json(report(bad))) == {
        "cluster": "prod",
        "scanned_at": "2026-03-01T12:00:00Z",
        "namespaces": [
            {
                "name": "a",
                "status": "critical",
                "cells": [
                    {
                        "credential": "registry/quay.io",
                        "status": "critical",
                        "reason": "missing",
                        "expires_at": "2026-03-01T12:00:00Z",
                    },
                    {"credential": "tls", "status": "ok", "reason": "", "expires_at": None},
                ],
                "findings": [
                    {
                        "code": "PS01",
                        "status": "critical",
                        "credential": "registry/quay.io",
                        "object": "Secret/regcred",
                        "message": "It is not here.",
                    }
                ],
            }
        ],
    }


def test_the_table_puts_the_worst_first_and_counts_namespaces() -> None:
    text = as_table(
        report(
            verdict("a", Status.WARNING, findings=(finding(Status.WARNING),)),
            verdict("b", Status.CRITICAL, findings=(finding(Status.CRITICAL, "tls"),)),
            verdict("c", Status.UNKNOWN, unasked={"PS01": "secrets: forbidden", "PS02": "secrets: forbidden"}),
            verdict("d", Status.OK),
        )
    )

    assert text.splitlines() == [
        "STATUS    NAMESPACE  CODE  CREDENTIAL  OBJECT          MESSAGE",
        "critical  b          PS01  tls         Secret/regcred  It is not here.",
        "unknown   c          -     -           -               2 checks could not be asked: secrets: forbidden",
        "warning   a          PS01  -           Secret/regcred  It is not here.",
        "",
        "4 Namespaces: 1 critical, 1 unknown, 1 warning, 1 ok",
    ]


def test_without_findings_the_table_is_its_summary() -> None:
    assert as_table(report(verdict("a", Status.OK))) == "1 Namespace: 0 critical, 0 unknown, 0 warning, 1 ok"


def test_colour_is_the_only_control_character_of_a_table() -> None:
    bad = report(verdict(HOSTILE, Status.CRITICAL, findings=(finding(Status.CRITICAL, message=HOSTILE),)))

    plain_text, coloured = as_table(bad), as_table(bad, colour=True)

    assert coloured.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain_text
    assert "\x1b[31mcritical" in coloured
    assert all(line.isprintable() for line in plain_text.splitlines())


def test_junit_says_each_thing_once_as_failure_error_or_pass() -> None:
    text = as_junit(
        report(
            verdict(
                "a",
                Status.CRITICAL,
                cells=(cell(Status.CRITICAL), cell(Status.OK, "tls"), cell(Status.UNKNOWN, "storage/s3")),
                findings=(finding(Status.CRITICAL, "registry/quay.io"), finding(Status.WARNING, code="HY01")),
                unasked={"TK01": "secrets: forbidden"},
            ),
            verdict("b", Status.OK),
        )
    )

    first, second = ET.fromstring(text)
    assert {key: first.get(key) for key in ("name", "tests", "failures", "errors")} == {
        "name": "a",
        "tests": "5",
        "failures": "1",
        "errors": "2",
    }
    assert [(case.get("name"), [child.tag for child in case]) for case in first] == [
        ("registry/quay.io", ["failure"]),
        ("tls", []),
        ("storage/s3", ["error"]),
        ("HY01 Secret/regcred", ["system-out"]),
        ("1 check could not be asked: secrets: forbidden", ["error"]),
    ]
    assert text.count("It is not here.") == 3  # as attribute and text of the failure, as text of the warning
    assert (second.get("tests"), second.get("failures")) == ("1", "0")


def test_what_is_told_for_information_fails_no_build_and_never_comes_first() -> None:
    shared = finding(Status.OK, "registry/quay.io", code="HY03", message="It is shared.")
    sick = verdict(
        "a",
        Status.CRITICAL,
        cells=(cell(Status.CRITICAL),),
        findings=(shared, finding(Status.CRITICAL, "registry/quay.io")),
    )
    well = verdict("b", Status.OK, cells=(cell(Status.OK),), findings=(shared, finding(Status.OK, "tls", code="HY03")))

    first, second = ET.fromstring(as_junit(report(sick, well)))

    failure = first.find("testcase/failure")
    assert failure is not None
    assert "It is not here." in failure.get("message", "")
    assert (second.get("tests"), second.get("failures"), second.get("errors")) == ("2", "0", "0")
    assert not any_critical([well])
    assert as_table(report(well)).splitlines()[1].split()[:3] == ["ok", "b", "HY03"]


@given(st.text())
def test_every_format_survives_any_text(text: str) -> None:
    worst = verdict(
        text,
        Status.CRITICAL,
        cells=(cell(Status.CRITICAL, text),),
        findings=(finding(Status.CRITICAL, text, message=text, object=text),),
        unasked={"PS01": text},
    )

    ET.fromstring(as_junit(report(worst)))
    assert json.loads(as_json(report(worst)))["namespaces"][0]["name"] == text
    assert plain(as_table(report(worst)).splitlines()[1]).startswith("critical")


def test_hostile_text_is_valid_xml_and_harmless_json() -> None:
    worst = verdict(HOSTILE, Status.CRITICAL, findings=(finding(Status.CRITICAL, message=HOSTILE),))

    ET.fromstring(as_junit(report(worst)))
    assert as_json(report(worst)).isascii()


def test_times_are_utc_whatever_they_were() -> None:
    assert rfc3339(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"


def test_only_a_critical_namespace_is_critical() -> None:
    assert any_critical([verdict("a", Status.OK), verdict("b", Status.CRITICAL)])
    assert not any_critical([verdict("a", Status.UNKNOWN)])
