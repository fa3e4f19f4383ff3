"""Why one Namespace could not be scanned by itself, as far as a person may know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.identity import is_operator
from scanner.cluster.errors import NOT_CONFIGURED, BadConfiguration, without_addresses
from scanner.models import Namespace, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedScan:
    """`remedy` is for operators only, "" for others: it is about the cluster and about Credboard."""

    finished_at: datetime | None
    words: str
    remedy: str


def failed_scan(namespace: Namespace, user: Any) -> FailedScan | None:
    """The newest scan of `namespace` alone, if it failed and no good one followed. Owners are told no addresses."""
    scan = Scan.objects.filter(cluster=namespace.cluster_id, namespace=namespace.name).newest()
    if scan is None or scan.state != Scan.State.FAILED:
        return None
    if namespace.scanned_at is not None and namespace.scanned_at > scan.started_at:
        return None
    if is_operator(user):
        return FailedScan(finished_at=scan.finished_at, words=scan.error, remedy=scan.remedy)
    return FailedScan(finished_at=scan.finished_at, words=words_of(scan), remedy="")


def words_of(scan: Scan) -> str:
    """Why `scan` of one Namespace failed, as its owners may know."""
    return NOT_CONFIGURED if scan.error_kind == BadConfiguration.__name__ else without_addresses(scan.error)
