"""Rows as the API shows them. Nothing here asks the database, but for owners that were not fetched."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from dashboard.api import schemas
from dashboard.failed_scan import words_of
from dashboard.models import Acknowledgement
from scanner.check import Status
from scanner.models import Cell, Cluster, Credential, Finding, Freshness, Namespace, Scan


class Items:
    """Makes items of rows for one request. `fresh` holds the clusters that the rows are of."""

    def __init__(self, request: HttpRequest, fresh: Freshness) -> None:
        self._root = request.build_absolute_uri("/").removesuffix("/")
        self._fresh = fresh

    def _cluster(self, pk: int) -> str:
        return self._fresh.clusters[pk].name

    def _url(self, name: str, *args: str) -> str:
        return f"{self._root}{reverse(name, args=args)}"

    def namespace(self, row: Namespace) -> dict[str, Any]:
        """A row with its owners."""
        cluster = self._cluster(row.cluster_id)
        is_stale = self._fresh.is_stale(row.cluster_id, row.scanned_at)
        return {
            "cluster": cluster,
            "name": row.name,
            "status": str(Status.UNKNOWN) if is_stale else row.status,
            "reason": ("stale" if row.scanned_at else "not-checked") if is_stale else row.reason,
            "is_stale": is_stale,
            "scanned_at": row.scanned_at,
            "labels": {str(key): str(value) for key, value in row.labels.items()},
            "owners": [{"kind": one.kind, "name": one.name, "source": one.source} for one in row.owners.all()],
            "unreadable": {str(resource): str(why) for resource, why in row.unreadable.items()},
            "url": self._url("namespace", cluster, row.name),
        }

    def cell(self, row: Cell, acknowledged: Collection[tuple[int, str]]) -> dict[str, Any]:
        """A row with its Namespace and credential. `acknowledged` as `AcknowledgementQuerySet.covered` has it."""
        namespace, slug = row.namespace, row.credential.slug
        cluster = self._cluster(namespace.cluster_id)
        is_stale = self._fresh.is_stale(namespace.cluster_id, namespace.scanned_at)
        since = row.since
        if is_stale and namespace.scanned_at is not None:
            since = self._fresh.stale_since(namespace.cluster_id, namespace.scanned_at)
        return {
            "cluster": cluster,
            "namespace": namespace.name,
            "credential": slug,
            "status": str(Status.UNKNOWN) if is_stale else row.status,
            "reason": "stale" if is_stale else row.reason,
            "since": since,
            "is_stale": is_stale,
            "is_acknowledged": (namespace.pk, slug) in acknowledged,
            "expires_at": row.expires_at,
            "expiry_source": row.expiry_source,
            "verified": "" if is_stale else row.verified,
            "secret": row.secret,
            "pod_count": row.pod_count,
            "url": self._url("cell", cluster, namespace.name, slug),
        }

    def finding(self, row: Finding, elsewhere: Collection[tuple[str, str]] = ()) -> dict[str, Any]:
        """A row with its Namespace. `elsewhere`: the places of such Secrets that the caller may see."""
        namespace = row.namespace
        return {
            "id": row.pk,
            "cluster": self._cluster(namespace.cluster_id),
            "namespace": namespace.name,
            "code": row.code,
            "status": row.status,
            "is_stale": self._fresh.is_stale(namespace.cluster_id, namespace.scanned_at),
            "reason": row.reason,
            "credential": row.credential,
            "object": row.object,
            "message": row.message,
            "expires_at": row.expires_at,
            "first_seen_at": row.first_seen_at,
            "last_seen_at": row.last_seen_at,
            "resolved_at": row.resolved_at,
            "elsewhere": [{"namespace": place, "secret": secret} for place, secret in elsewhere],
        }

    def scan(self, row: Scan, *, is_operator: bool, in_full: bool) -> dict[str, Any]:
        """Unless `in_full`, a scan of a whole cluster without what it tells of Namespaces of others. Why one failed is
        for operators; of a scan of their own Namespace owners are told without addresses."""
        item: dict[str, Any] = {name: getattr(row, name) for name in _SCAN}
        item |= {"id": row.pk, "cluster": row.cluster.name}
        if not in_full:
            item |= dict.fromkeys(_OF_ALL_NAMESPACES)
        if not is_operator:
            item |= {"error": words_of(row) if in_full else _failed(row), "remedy": ""}
        return item

    def acknowledgement(self, row: Acknowledgement) -> dict[str, Any]:
        """A row with its Namespace."""
        item = {name: getattr(row, name) for name in _ACKNOWLEDGEMENT}
        where = {"cluster": self._cluster(row.namespace.cluster_id), "namespace": row.namespace.name}
        return {**item, **where, "id": row.pk}


def _failed(row: Scan) -> str:
    return "The scan failed. An operator of Credboard can see why." if row.state == Scan.State.FAILED else ""


_OF_ALL_NAMESPACES = (
    "namespaces_done", "namespaces_total", "failed_namespaces", "critical", "warning", "unknown", "ok",
)  # fmt: skip
_SCAN = [name for name in schemas.ScanItem.model_fields if name not in ("id", "cluster")]
_ACKNOWLEDGEMENT = [
    name for name in schemas.AcknowledgementItem.model_fields if name not in ("id", "cluster", "namespace")
]


def cluster_item(row: Cluster) -> dict[str, Any]:
    return {
        "name": row.name,
        "is_demo": row.is_demo,
        "scan_interval": row.scan_interval,
        "next_scan_at": row.next_scan_at,
        "stale_after": int(row.stale_after.total_seconds()),
    }


def credential_item(row: Credential, counts: Mapping[str, int]) -> dict[str, Any]:
    """`counts`: status -> how many Namespaces."""
    known = {str(status): counts.get(status, 0) for status in Status}
    return {"cluster": row.cluster.name, "credential": row.slug, "kind": row.kind, **known}
