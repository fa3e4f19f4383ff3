"""What an operator decides about checks: what must be there, when an end is near, and which codes matter how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from scanner.label_selector import LabelRule

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """Which namespaces something is about: those with one of the `names` (globs; all without any), none of the `but`,
    and labels for which every rule holds."""

    names: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    labels: tuple[LabelRule, ...] = ()

    def include(self, name: str, labels: Mapping[str, str] = _NOTHING) -> bool:
        if self.names and not any(fnmatchcase(name, glob) for glob in self.names):
            return False
        return not any(fnmatchcase(name, glob) for glob in self.but) and all(
            rule.matches(labels) for rule in self.labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Namespaces that must have a credential: the column `credential`, in the Secret `secret` if one is named, linked
    by each of the `service_accounts`."""

    name: str
    namespaces: Namespaces
    credential: str
    secret: str = ""
    service_accounts: tuple[str, ...] = ()

    @property
    def registry(self) -> str:
        """The host of the registry that the credential is for, "" when it is for none."""
        family, _, host = self.credential.partition("/")
        return host if family == "registry" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """A code that is not asked in some namespaces, up to `until` (aware UTC) if that is given."""

    code: str
    reason: str
    namespaces: Namespaces = field(default_factory=Namespaces)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long before its end a credential is a warning, and critical."""

    warning: timedelta
    critical: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Thresholds are counted back from the expiry; `thresholds` has those of single credential kinds. `statuses`
    overrides the status of a code's problems ("warning" instead of "critical") and `reasons` says why. A code in
    `ignored` is not asked at all, one in `exemptions` not everywhere; checks that are asked on request only are those
    in `enabled`. From the `required_registries` (hosts as images name them) nothing is to be pulled without a
    credential, even where the registry would allow it."""

    expiring_warning: timedelta = timedelta(days=30)
    expiring_critical: timedelta = timedelta(days=7)
    thresholds: Mapping[str, Thresholds] = field(default_factory=lambda: MappingProxyType({}))
    statuses: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    reasons: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    ignored: frozenset[str] = frozenset()
    exemptions: tuple[Exemption, ...] = ()
    enabled: frozenset[str] = frozenset()
    requirements: tuple[Requirement, ...] = ()
    required_registries: frozenset[str] = frozenset()

    def ignores(self, code: str, namespace: str, *, labels: Mapping[str, str] = _NOTHING, now: datetime) -> bool:
        """Whether `code` is not to be asked in `namespace` at `now`."""
        return code in self.ignored or any(
            one.code == code and (one.until is None or now < one.until) and one.namespaces.include(namespace, labels)
            for one in self.exemptions
        )

    def requirements_for(self, namespace: str, labels: Mapping[str, str]) -> tuple[Requirement, ...]:
        """What is required of `namespace`."""
        return tuple([one for one in self.requirements if one.namespaces.include(namespace, labels)])

    def thresholds_of(self, kind: str) -> Thresholds:
        """When the end of a credential of `kind` (a credential kind's slug) counts as near."""
        return self.thresholds.get(kind) or Thresholds(self.expiring_warning, self.expiring_critical)
