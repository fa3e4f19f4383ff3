"""What a check is: a coded question about one namespace, asked of its snapshot.

Add one by adding `checks/<code>_<name>.py` and `tests/checks/<CODE>.yaml`; nothing else lists them.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Final

from scanner.blame import Blames
from scanner.columns import SECRETS
from scanner.coverage import Coverage, ImageUse
from scanner.credential import ParsedCredential
from scanner.elsewhere import Elsewhere
from scanner.policy import Policy, Requirement
from scanner.snapshot import Secret, Snapshot

log = logging.getLogger(__name__)

#: Codes that were once given and are so no more. They are never given again.
RETIRED: Final[frozenset[str]] = frozenset()


class Status(StrEnum):
    """How a cell, a finding or a namespace stands. Compare with `worst`, not with `<`."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"


_RANK: Final = {Status.OK: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 3}


def rank(status: str) -> int:
    """0 for ok up to 3 for critical: critical > unknown > warning > ok."""
    return _RANK[Status(status)]


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of `statuses`; ok when there are none."""
    return max(statuses, key=rank, default=Status.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a check yields. With status ok it is information, which makes neither a cell nor the namespace worse.
    `object` is "Kind/name", stable while the problem lasts; `credential` the column it concerns, or "" when none is to
    blame; `reason` one of the words of the product's status table; `message` one
    sentence for people; `details` JSON facts for the drawer: `pods` (names, at most 50) and `pod_count`, `secret`,
    `image`, `cause`, `raw` (a runtime's message), `elsewhere` (pairs of Namespace and Secret, to be filtered by what
    the reader may see) and `elsewhere_count`. A `Result` may have `overridden` beside them: from, to and reason."""

    object: str
    status: Status
    reason: str
    message: str
    credential: str = ""
    expires_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A problem with the code of the check that found it, or (status unknown) that the check could not be asked."""

    code: str
    object: str
    status: Status
    reason: str
    message: str
    credential: str = ""
    expires_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a check may look at. `now` is aware UTC. `elsewhere` knows the pull Secrets of the other namespaces."""

    snapshot: Snapshot
    policy: Policy
    now: datetime
    elsewhere: Elsewhere = field(default_factory=Elsewhere)

    @cached_property
    def coverage(self) -> Coverage:
        return Coverage(self.snapshot, now=self.now)

    @cached_property
    def blames(self) -> Blames:
        """Why images that need a credential get none, one cause for each."""
        return Blames(self.coverage, self.required_registries)

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """What the policy requires of this namespace; of one that is being deleted nothing."""
        if self.snapshot.phase == "Terminating":
            return ()
        return self.policy.requirements_for(self.snapshot.name, self.snapshot.labels)

    @cached_property
    def required_registries(self) -> frozenset[str]:
        """Hosts from which nothing is to be pulled here without a credential."""
        return self.policy.required_registries.union(one.registry for one in self.requirements if one.registry)

    def with_elsewhere(self, elsewhere: Elsewhere) -> Context:
        """The same namespace with what is now known of the others; what was worked out of it alone is kept."""
        other = replace(self, elsewhere=elsewhere)
        # Where `cached_property` looks first.
        other.__dict__.update(coverage=self.coverage, blames=self.blames)
        return other

    @cached_property
    def notable(self) -> tuple[tuple[Secret, ParsedCredential], ...]:
        """The credentials of which there may be more to tell than their end, with their Secrets."""
        secrets = self.snapshot.secrets.values()
        return tuple([(s, credential) for s in secrets for credential in s.credentials if credential.is_notable])

    @cached_property
    def ending(self) -> tuple[tuple[Secret, ParsedCredential], ...]:
        """The credentials that have an end, with their Secrets."""
        secrets = self.snapshot.secrets.values()
        return tuple([(s, credential) for s in secrets for credential in s.credentials if credential.expires_at])

    def columns_behind(self, uses: Iterable[ImageUse]) -> tuple[str, ...]:
        """The columns that a pull Secret concerns which is not there or of no use: the registries of `uses`, those that
        fail now if any does; else that of all others. What Secrets of its name are for in other Namespaces is not
        asked: a column would tell it to people who may not see those.
        """
        concerned = [use for use in uses if use.credential]
        failing = [use for use in concerned if use.failure]
        return tuple(dict.fromkeys(use.credential for use in failing or concerned)) or (SECRETS,)

    def is_asked(self, one: Check) -> bool:
        """Whether the policy wants `one` to be asked here and now."""
        if one.on_request and one.code not in self.policy.enabled:
            return False
        return not self.policy.ignores(one.code, self.snapshot.name, labels=self.snapshot.labels, now=self.now)


Question = Callable[[Context], Iterator[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A registered question. `needs` are the resources without which it cannot be asked (plural API names), `wants`
    those without which its answer is not the whole answer. `on_request`: asked only where the policy enables it."""

    code: str
    name: str
    needs: frozenset[str]
    wants: frozenset[str] = frozenset()
    on_request: bool = False
    ask: Question

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.ask.__doc__ or "").strip().partition("\n")[0]


_checks: dict[str, Check] = {}


def check(
    code: str, name: str, *, needs: Iterable[str], wants: Iterable[str] = (), on_request: bool = False
) -> Callable[[Question], Question]:
    """Register the decorated generator as the check `code`. A code is given once, for ever.

    Raises RuntimeError at import for a code that is taken, retired or not two letters and two digits.
    """

    def register(ask: Question) -> Question:
        if not re.fullmatch(r"[A-Z]{2}[0-9]{2}", code):
            raise RuntimeError(f"{code!r} is not two letters and two digits")
        if code in _checks or code in RETIRED or any(c.name == name for c in _checks.values()):
            raise RuntimeError(f"The check {code} {name} is registered twice, or its code is retired")
        _checks[code] = Check(
            code=code, name=name, needs=frozenset(needs), wants=frozenset(wants), on_request=on_request, ask=ask
        )
        return ask

    return register


@cache
def all_checks() -> Mapping[str, Check]:
    """Every check by code, in order of code: the files of `scanner/checks/`."""
    package = importlib.import_module("scanner.checks")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return MappingProxyType(dict(sorted(_checks.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Answers about one namespace. `unasked` maps codes that got no answer, or not the whole one (what they found is in
    `found` then), to why; their old findings must stand."""

    found: tuple[Result, ...]
    unasked: Mapping[str, str]


def run_checks(context: Context, checks: Iterable[Check] | None = None, *, strict: bool = False) -> Results:
    """Ask every check about `context`. With `strict` (tests) a check that raises is raised; otherwise it is logged and
    counted as unasked: not seen is not fine."""
    found: list[Result] = []
    unasked: dict[str, str] = {}
    unreadable, exemptions = context.snapshot.unreadable, context.policy.exemptions
    for one in _wanted(context.policy, all_checks().values() if checks is None else checks):
        if exemptions and not context.is_asked(one):
            continue
        if unreadable and (missing := one.needs & unreadable.keys()):
            resource = min(missing)
            unasked[one.code] = f"{resource}: {unreadable[resource]}"
            continue
        try:
            problems = list(one.ask(context))
        except Exception as error:
            if strict:
                raise
            # Only the type: the text of an unforeseen exception may quote what it choked on.
            log.error("Check %s failed in %s: %s", one.code, context.snapshot.name, type(error).__name__)
            unasked[one.code] = f"the check failed ({type(error).__name__})"
            continue
        if unreadable and (missing := one.wants & unreadable.keys()):
            resource = min(missing)
            unasked[one.code] = f"{resource}: {unreadable[resource]}"
        found += [_result(one.code, problem, context.policy) for problem in problems]
    return Results(found=tuple(found), unasked=MappingProxyType(unasked))


def _wanted(policy: Policy, checks: Iterable[Check]) -> list[Check]:
    """Those of `checks` that `policy` wants to be asked anywhere at all."""
    return [
        one for one in checks if one.code not in policy.ignored and (not one.on_request or one.code in policy.enabled)
    ]


def _result(code: str, problem: Problem, policy: Policy) -> Result:
    status, details = problem.status, problem.details
    override = policy.statuses.get(code)
    if override is not None and override != status:
        why = {"from": str(status), "to": str(Status(override)), "reason": policy.reasons.get(code, "")}
        status, details = Status(override), {**details, "overridden": why}
    return Result(
        code=code,
        object=problem.object,
        status=status,
        reason=problem.reason,
        message=problem.message,
        credential=problem.credential,
        expires_at=problem.expires_at,
        details=details,
    )
