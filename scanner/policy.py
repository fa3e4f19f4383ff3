"""What an operator decides about checks: thresholds, and which codes matter how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Thresholds are counted back from the expiry. `statuses` overrides the status of a code's problems ("warning"
    instead of "critical"); a code in `ignored` is not asked at all. From the `required_registries` (hosts as images
    name them) nothing is to be pulled without a credential, even where the registry would allow it."""

    expiring_warning: timedelta = timedelta(days=30)
    expiring_critical: timedelta = timedelta(days=7)
    statuses: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    ignored: frozenset[str] = frozenset()
    required_registries: frozenset[str] = frozenset()
