"""Verdicts as text: a table for people, JSON for programs, JUnit for build servers. Pure functions.

Names and messages come from the cluster, that is from anybody: control and invisible characters never get through.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from scanner.check import Result, Status, rank
from scanner.verdict import Cell, Verdict

_WORST_FIRST: Final = tuple(sorted(Status, key=rank, reverse=True))
_COLOURS: Final = {Status.CRITICAL: "31", Status.UNKNOWN: "35", Status.WARNING: "33", Status.OK: "32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one scan saw. `scanned_at` is aware; `verdicts` are in order of their Namespace's name."""

    cluster: str
    scanned_at: datetime
    verdicts: Sequence[Verdict]


def as_json(report: Report) -> str:
    """The fixed shape of `docs/architecture.md`; ASCII, two spaces of indent, times in RFC 3339 (UTC)."""
    document = {
        "cluster": report.cluster,
        "scanned_at": rfc3339(report.scanned_at),
        "namespaces": [
            {
                "name": verdict.snapshot.name,
                "status": verdict.status.value,
                "cells": [
                    {
                        "credential": cell.credential,
                        "status": cell.status.value,
                        "reason": cell.reason,
                        "expires_at": rfc3339(cell.expires_at) if cell.expires_at else None,
                    }
                    for cell in verdict.cells
                ],
                "findings": [
                    {
                        "code": finding.code,
                        "status": finding.status.value,
                        "credential": finding.credential,
                        "object": finding.object,
                        "message": finding.message,
                    }
                    for finding in verdict.findings
                ],
            }
            for verdict in report.verdicts
        ],
    }
    return json.dumps(document, indent=2)


def as_table(report: Report, *, colour: bool = False) -> str:
    """A line for each finding and for each reason that kept checks from being asked, worst first, then a summary."""
    rows = sorted(
        (row for verdict in report.verdicts for row in _rows(verdict)), key=lambda row: (-rank(row[0]), *row[1:])
    )
    lines: list[tuple[str, ...]] = [("STATUS", "NAMESPACE", "CODE", "CREDENTIAL", "OBJECT", "MESSAGE")] if rows else []
    lines += [(row[0].value, *(plain(cell) or "-" for cell in row[1:])) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)] if lines else []
    text = []
    for index, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        if colour and index:
            cells[0] = f"\x1b[{_COLOURS[rows[index - 1][0]]}m{cells[0]}\x1b[0m"
        text.append("  ".join([*cells, line[5]]))
    return "\n".join([*text, *([""] if text else []), summary(report)])


def summary(report: Report) -> str:
    """`3 Namespaces: 1 critical, 0 unknown, 0 warning, 2 ok`."""
    counts = Counter(verdict.status for verdict in report.verdicts)
    total = len(report.verdicts)
    parts = ", ".join(f"{counts[status]} {status.value}" for status in _WORST_FIRST)
    return f"{total} Namespace{'' if total == 1 else 's'}: {parts}"


_Row = tuple[Status, str, str, str, str, str]


def _rows(verdict: Verdict) -> Iterator[_Row]:
    name = verdict.snapshot.name
    for finding in verdict.findings:
        yield finding.status, name, finding.code, finding.credential, finding.object, finding.message
    for message in _unasked(verdict.unasked):
        yield Status.UNKNOWN, name, "", "", "", message


def _unasked(unasked: Mapping[str, str]) -> Iterator[str]:
    for why, count in sorted(Counter(unasked.values()).items()):
        yield f"{count} check{'' if count == 1 else 's'} could not be asked: {why}"


def as_junit(report: Report) -> str:
    """One testsuite a Namespace, one testcase a credential, with its findings in it: critical is a failure, unknown an
    error. Findings about no credential, and checks that could not be asked, are testcases of their own."""
    root = ET.Element("testsuites", name=plain(report.cluster))
    for verdict in report.verdicts:
        name = plain(verdict.snapshot.name)
        suite = ET.SubElement(root, "testsuite", name=name, timestamp=rfc3339(report.scanned_at))
        # A testsuite without a testcase reads as one that did not run.
        cases = list(_cases(verdict)) or [_Case("needs no credential", Status.OK, "", [])]
        outcomes = [_add_case(suite, case) for case in cases]
        suite.set("tests", str(len(outcomes)))
        suite.set("failures", str(outcomes.count("failure")))
        suite.set("errors", str(outcomes.count("error")))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


class _Case(NamedTuple):
    """`reason` says why in a word, `lines` say more."""

    name: str
    status: Status
    reason: str
    lines: list[str]


def _cases(verdict: Verdict) -> Iterator[_Case]:
    columns = {cell.credential for cell in verdict.cells}
    for cell in verdict.cells:
        about = (finding for finding in verdict.findings if finding.credential == cell.credential)
        said = [_sentence(finding) for finding in sorted(about, key=lambda one: -rank(one.status))]
        yield _Case(cell.credential, cell.status, cell.reason, said or _lines(cell))
    for finding in verdict.findings:
        if finding.credential not in columns:
            yield _Case(f"{finding.code} {finding.object}", finding.status, finding.reason, [finding.message])
    for message in _unasked(verdict.unasked):
        yield _Case(message, Status.UNKNOWN, verdict.reason, [message])


def _lines(cell: Cell) -> list[str]:
    return [cell.reason] if cell.reason else []


def _sentence(finding: Result) -> str:
    return f"{finding.code} {finding.status.value} {finding.object}: {finding.message}"


def _add_case(suite: ET.Element, case: _Case) -> str:
    element = ET.SubElement(suite, "testcase", classname=suite.get("name", ""), name=plain(case.name))
    text = "\n".join(plain(line) for line in case.lines)
    outcome = {Status.CRITICAL: "failure", Status.UNKNOWN: "error"}.get(case.status, "system-out" if text else "")
    if outcome:
        told = ET.SubElement(element, outcome)
        told.text = text
        if outcome != "system-out":
            told.set("type", plain(case.reason))
            told.set("message", text.partition("\n")[0])
    return outcome


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {"table": as_table, "json": as_json, "junit": as_junit}


def plain(text: str) -> str:
    """`text` on one line without control, formatting or unpaired characters: safe for a terminal and valid in XML."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def rfc3339(at: datetime) -> str:
    """`2026-01-31T12:00:00Z`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def any_critical(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.status is Status.CRITICAL for verdict in verdicts)
