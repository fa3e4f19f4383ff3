"""A policy told in words, for the operator who wants to see what a policy file means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from scanner.check import all_checks
from scanner.label_selector import LabelRule
from scanner.policy import Namespaces, Policy, Requirement, Thresholds
from scanner.words import listed, verb


def policy_words(policy: Policy, *, now: datetime) -> Iterator[str]:
    """One line after the other; a heading is followed by indented lines. Nothing for what is as it is by default."""
    yield from _section("Required", [_required(one) for one in policy.requirements])
    yield from _section("Required of every Pod that pulls from it", sorted(policy.required_registries))
    names = {one.code: one.name for one in all_checks().values()}
    statuses = [f"{c} {names[c]} counts as {s}: {policy.reasons.get(c, '')}" for c, s in policy.statuses.items()]
    yield from _section("Counted otherwise", statuses)
    ignored = [f"{code} {names[code]}, everywhere" for code in sorted(policy.ignored)]
    for one in policy.exemptions:
        until = ""
        if one.until:
            # `until` is the moment after the last day.
            last = one.until - timedelta(days=1)
            until = f" until {last:%Y-%m-%d}" + ("" if now < one.until else ", which is over: it is told again")
        ignored.append(f"{one.code} {names[one.code]} in {_which(one.namespaces)}{until}: {one.reason}")
    yield from _section("Ignored", ignored)
    yield from _section("Asked on request", [f"{code} {names[code]}" for code in sorted(policy.enabled)])
    ends = [f"{kind}: {_near(threshold)}" for kind, threshold in sorted(policy.thresholds.items())]
    default = Thresholds(policy.expiring_warning, policy.expiring_critical)
    yield from _section("An end is near", [*ends, f"{'all others' if ends else 'all'}: {_near(default)}"])


def _section(heading: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield heading
        yield from (f"  {line}" for line in lines)


def _required(requirement: Requirement) -> str:
    words = f"{requirement.name}: {_which(requirement.namespaces)} must have {requirement.credential}"
    if requirement.secret:
        words += f" in a Secret called {requirement.secret}"
    if accounts := requirement.service_accounts:
        words += f", linked by {verb(accounts, 'ServiceAccount', 'ServiceAccounts')} {listed(accounts, at_most=20)}"
    return words


def _which(namespaces: Namespaces) -> str:
    words = f"Namespaces named {listed(namespaces.names, at_most=20)}" if namespaces.names else "all Namespaces"
    if namespaces.but:
        words += f" but {listed(namespaces.but, at_most=20)}"
    if namespaces.labels:
        words += f" whose labels say {listed((_rule(rule) for rule in namespaces.labels), at_most=20)}"
    return words


def _rule(rule: LabelRule) -> str:
    values = ", ".join(sorted(rule.values))
    match rule.operator:
        case "exists":
            return rule.key
        case "absent":
            return f"!{rule.key}"
        case "in":
            return f"{rule.key}={values}" if len(rule.values) == 1 else f"{rule.key} in ({values})"
        case "notin":
            return f"{rule.key}!={values}" if len(rule.values) == 1 else f"{rule.key} notin ({values})"
        case "<" | ">":
            return f"{rule.key}{rule.operator}{values}"


def _near(thresholds: Thresholds) -> str:
    return f"warning {thresholds.warning.days} days before, critical {thresholds.critical.days} days before"
