"""The rows that reports are made of, read once for many readers. No Django, no database, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol


class Links(Protocol):
    """Absolute addresses of pages."""

    home: str

    def cluster(self, cluster: str, credential: str = "") -> str: ...

    def namespace(self, cluster: str, namespace: str) -> str: ...

    def cell(self, cluster: str, namespace: str, credential: str) -> str: ...

    def acknowledge(self, cluster: str, namespace: str, credential: str) -> str: ...


class ClusterRow(NamedTuple):
    """`scanned_at` is when the last good scan began; `is_failing`: the newest one that ended failed."""

    pk: int
    name: str
    stale_after: timedelta
    scanned_at: datetime | None
    is_failing: bool


class NamespaceRow(NamedTuple):
    """As stored; `cluster` is a pk."""

    pk: int
    cluster: int
    name: str
    status: str
    reason: str
    scanned_at: datetime | None
    is_blind: bool


class CellRow(NamedTuple):
    """As stored; `namespace` is a pk."""

    namespace: int
    credential: str
    status: str
    reason: str
    since: datetime
    expires_at: datetime | None
    expiry_source: str


class Change(NamedTuple):
    """A `Transition`: status "" where there was, or is, no cell."""

    namespace: int
    credential: str
    at: datetime
    status_before: str
    reason_before: str
    status_after: str


class Problem(NamedTuple):
    """The worst open finding about a credential, or about none (""), of a Namespace."""

    message: str
    first_seen_at: datetime


class FailedScan(NamedTuple):
    """Scans of `cluster` (a pk) that failed alike within the time of a report: how often, and when last."""

    cluster: int
    namespace: str
    words: str
    times: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Rows at `now`, indexed by the pk of their Namespace (clusters, trends: of the cluster).

    `cells` are those that are not well or end within `EXPIRING_WITHIN`; `changes` are in the order in which they were
    recorded, from the earliest time that any report asks for. `acknowledged` maps cells to a person's words, and
    `problems` cells (credential "" for the Namespace itself) to what is wrong. For operators: `failed_scans`, and in
    `trends` the most critical Namespaces of each day.
    """

    now: datetime
    clusters: Mapping[int, ClusterRow]
    namespaces: Mapping[int, NamespaceRow]
    cells: Mapping[int, Sequence[CellRow]]
    changes: Mapping[int, Sequence[Change]]
    acknowledged: Mapping[tuple[int, str], str]
    problems: Mapping[tuple[int, str], Problem]
    failed_scans: Sequence[FailedScan] = ()
    trends: Mapping[int, Mapping[date, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom a report is, and since when."""

    name: str
    is_operator: bool
    since: datetime
    frequency: str
    time_zone: str
    settings_url: str
    unsubscribe_url: str
