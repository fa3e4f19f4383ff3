"""Rows of one cluster, and the report of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.reports.building import build_report
from dashboard.reports.report import ClusterReport, Report
from dashboard.reports.rows import CellRow, Change, ClusterRow, Facts, NamespaceRow, Reader

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SINCE = NOW - timedelta(days=7)
QUAY, TLS = "registry/quay.io", "tls"


class Links:
    home = "https://credboard.example.com/"

    def cluster(self, cluster: str, credential: str = "") -> str:
        return f"{self.home}?cluster={cluster}&credential={credential}"

    def namespace(self, cluster: str, namespace: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/"

    def cell(self, cluster: str, namespace: str, credential: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/cells/{credential}/"

    def acknowledge(self, cluster: str, namespace: str, credential: str) -> str:
        return f"{self.home}n/{cluster}/{namespace}/acknowledge/{credential}/"


def cluster(pk: int = 1, name: str = "prod-eu", **fields: Any) -> ClusterRow:
    values = {"stale_after": timedelta(minutes=2), "scanned_at": NOW, "is_failing": False} | fields
    return ClusterRow(pk=pk, name=name, **values)


def namespace(pk: int = 1, status: str = "ok", **fields: Any) -> NamespaceRow:
    values = {"cluster": 1, "name": f"team-{pk:03}", "reason": "", "scanned_at": NOW, "is_blind": False} | fields
    return NamespaceRow(pk=pk, status=status, **values)


def cell(of: int = 1, told: str = "critical missing", credential: str = QUAY, **fields: Any) -> CellRow:
    status, reason = told.split()
    values = {"since": NOW - timedelta(days=1), "expires_at": None, "expiry_source": ""} | fields
    return CellRow(namespace=of, credential=credential, status=status, reason=reason, **values)


def change(of: int = 1, *, before: str = "ok covered", after: str, credential: str = QUAY, days: float = 1) -> Change:
    was, _, why = before.partition(" ")
    return Change(of, credential, NOW - timedelta(days=days), was, why, after)


def facts(
    namespaces: list[NamespaceRow], cells: tuple[CellRow, ...] = (), changes: tuple[Change, ...] = (), **fields: Any
) -> Facts:
    values: dict[str, Any] = {"clusters": {1: cluster()}, "acknowledged": {}, "problems": {}} | fields
    return Facts(
        now=NOW,
        namespaces={one.pk: one for one in namespaces},
        cells={one.pk: [row for row in cells if row.namespace == one.pk] for one in namespaces},
        changes={one.pk: [row for row in changes if row.namespace == one.pk] for one in namespaces},
        **values,
    )


def report(of: Facts, *, visible: list[int] | None = None, is_operator: bool = True) -> Report:
    reader = Reader(
        name="ada",
        is_operator=is_operator,
        since=SINCE,
        frequency="weekly",
        time_zone="Europe/Berlin",
        settings_url="",
        unsubscribe_url="",
    )
    return build_report(of, reader, visible=list(of.namespaces) if visible is None else visible, links=Links())


def only(of: Facts, **options: Any) -> ClusterReport:
    (one,) = report(of, **options).clusters
    return one
