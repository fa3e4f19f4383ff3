"""The reference of all checks, made from their docstrings and their cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from scanner.check import RETIRED, Check, all_checks, rank

#: Named cases of a check by its code, as in `tests/checks/<CODE>.yaml`.
Cases = Mapping[str, Mapping[str, Mapping[str, Any]]]

_KINDS: Final = {
    "secrets": "Secrets",
    "pods": "Pods",
    "serviceaccounts": "ServiceAccounts",
    "events": "Events",
    "namespaces": "Namespaces",
    "rolebindings": "RoleBindings",
}
_LONGEST_TEXT: Final = 110
_MOST_LINES: Final = 45
_INTRO: Final = """\
# Checks

Written by `manage.py checkdocs` from the docstrings in `scanner/checks/` and the cases in `tests/checks/`; do not edit
it by hand.

A check is asked about one Namespace at a time. One that may not read what it needs is not asked, and what it found
before stands. Codes are given once and for ever: name them, or the names beside them, in a [policy file](policy.md) to
ignore a check or to give its findings another status.
"""


def check_docs(cases: Cases) -> str:
    """The whole page as Markdown. Every check needs a case that fires; raises KeyError for one without cases."""
    checks = all_checks().values()
    lines = [_INTRO, "| Code | Name | Says |", "| --- | --- | --- |"]
    lines += [f"| [{one.code}](#{_anchor(one)}) | {one.name} | {_escaped(one.summary)} |" for one in checks]
    for one in checks:
        lines += ["", *_section(one, cases[one.code])]
    lines += ["", "## Retired codes", ""]
    lines.append(
        ", ".join(sorted(RETIRED)) + " were given once and are not given again." if RETIRED else "None so far."
    )
    return "\n".join(lines) + "\n"


def _anchor(one: Check) -> str:
    return f"{one.code}-{one.name}".lower()


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _section(one: Check, cases: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    paragraphs = _paragraphs(one)
    yield f"## {one.code} {one.name}"
    yield ""
    yield one.summary
    yield ""
    results = [result for case in cases.values() for result in case["results"]]
    statuses = sorted({r["status"] for r in results if "status" in r}, key=rank, reverse=True)
    reasons = dict.fromkeys(r["reason"] for r in results if "reason" in r)
    told = ["ok, for information" if status == "ok" else status for status in statuses]
    yield f"- Status: {' or '.join(told)}; reasons: {', '.join(reasons)}"
    wants = f"; knows more with {_kinds(one.wants)}" if one.wants else ""
    yield f"- Needs: {_kinds(one.needs)}{wants}"
    if one.on_request:
        yield "- Asked on request only: name it under `enabled` in the policy file"
    for heading, text in paragraphs:
        yield ""
        yield f"**{heading}.** {text}"
    name, case = next((name, case) for name, case in cases.items() if case["results"])
    yield ""
    yield f"**Example:** {name.replace('_', ' ')}."
    yield ""
    yield "```yaml"
    if "policy" in case:
        yield "# In the policy file:"
        yield from _dumped(case["policy"])
    if "elsewhere" in case:
        yield "# In other Namespaces, pull Secrets and their keys:"
        yield from _dumped(case["elsewhere"])
    if others := case.get("other_namespaces"):
        yield f"# In each of {others['count']} other Namespaces:"
        yield from _objects(others["objects"])
        yield "---"
        yield "# In this one:"
    yield from _objects(case["objects"], divided="policy" in case or "elsewhere" in case)
    yield "```"
    yield ""
    for result in case["results"]:
        said = ", ".join(result[field] for field in ("status", "reason") if field in result)
        column = f", column `{result['credential']}`" if result.get("credential") else ""
        yield f"Found: `{result['object']}`{f': {said}' if said else ''}{column}."


def _paragraphs(one: Check) -> list[tuple[str, str]]:
    """(heading, text) of "Why it matters" and "How to fix", with their first letter in upper case."""
    body = (one.ask.__doc__ or "").partition("\n")[2]
    found: list[tuple[str, str]] = []
    for match in re.finditer(r"^\s*(Why it matters|How to fix): (.*?)(?=^\s*(?:How to fix): |\Z)", body, re.S | re.M):
        text = " ".join(match[2].split())
        found.append((match[1], text[:1].upper() + text[1:]))
    return found


def _kinds(resources: Iterable[str]) -> str:
    return ", ".join(_KINDS.get(resource, resource) for resource in sorted(resources))


def _dumped(thing: object) -> list[str]:
    text = yaml.dump(_shortened(thing), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=130)
    lines = text.rstrip().splitlines()
    return lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], "# …"]


def _objects(objects: Iterable[object], *, divided: bool = False) -> Iterator[str]:
    """One after the other, with a line between them, and one above them if they are `divided` from what is there."""
    for number, thing in enumerate(objects):
        if number or divided:
            yield "---"
        yield from _dumped(thing)


class _Plain(yaml.SafeDumper):
    """Writes what anchors stood for, instead of anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _shortened(thing: object) -> object:
    if isinstance(thing, dict):
        return {key: _shortened(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_shortened(value) for value in thing]
    if isinstance(thing, str) and len(thing) > _LONGEST_TEXT:
        return f"{thing[:_LONGEST_TEXT]}…"
    return thing
