"""Namespaces, one of them whole, and having it scanned."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from dashboard.api import schemas
from dashboard.api.items import Items
from dashboard.api.keys import Caller, caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from dashboard.api.places import places_of
from dashboard.api.resources.clusters import requested
from dashboard.models import Acknowledgement
from scanner.models import Cell, Finding, Freshness, NamespaceQuerySet
from scanner.scan import request_scan

router = Router(tags=["Namespaces"])
ORDER = Order("namespaces", (("cluster_id", int), ("name", str)))


@router.get("/namespaces", response=schemas.Page[schemas.NamespaceItem], url_name="api-namespaces")
def namespaces(
    request: HttpRequest, filters: Query[schemas.NamespaceFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Namespaces with their status now.

    The filters mean what they mean on the matrix. By cluster and name.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    rows = matching(caller.namespaces, filters, fresh).with_owners()
    page = page_of(request, rows, ORDER, limit=paging.limit, cursor=paging.cursor)
    return shown(page, Items(request, fresh).namespace)


def matching(rows: NamespaceQuerySet, chosen: schemas.NamespaceFilters, fresh: Freshness) -> NamespaceQuerySet:
    rows = rows.of_clusters(fresh.clusters)
    if chosen.q:
        rows = rows.matching(chosen.q)
    if chosen.owner:
        rows = rows.owned_by(chosen.owner)
    if chosen.label:
        rows = rows.labelled(chosen.label)
    if chosen.credential:
        rows = rows.needing(chosen.credential)
    if chosen.reason:
        rows = rows.with_reason_at(chosen.reason, fresh, credential=chosen.credential)
    return rows.with_status_at(chosen.status, fresh, credential=chosen.credential) if chosen.status else rows


@router.get("/namespaces/{name:cluster}/{name:namespace}", response=schemas.NamespaceDetail, url_name="api-namespace")
def namespace(
    request: HttpRequest, cluster: Path[schemas.ClusterName], namespace: Path[schemas.NamespaceName]
) -> dict[str, Any]:
    """One Namespace with its cells and open findings."""
    caller = caller_of(request)
    found = caller.namespace(cluster, namespace)
    fresh = caller.freshness(cluster)
    items = Items(request, fresh)
    covered = Acknowledgement.objects.covered([found], now=fresh.now)
    cells = list(Cell.objects.of_namespace(found))
    for cell in cells:
        cell.namespace = found
    told = {"cells": [items.cell(cell, covered) for cell in cells], "findings": _findings(caller, items, found)}
    return items.namespace(found) | told


def _findings(caller: Caller, items: Items, found: Any) -> list[dict[str, Any]]:
    findings = list(Finding.objects.of_namespace(found).open().worst_first())
    for finding in findings:
        finding.namespace = found
    places = places_of(findings, caller)
    return [items.finding(finding, places(finding)) for finding in findings]


@router.post(
    "/namespaces/{name:cluster}/{name:namespace}/scan",
    response={202: schemas.ScanRequested},
    url_name="api-scan-namespace",
)
def scan_namespace(
    request: HttpRequest,
    response: HttpResponse,
    cluster: Path[schemas.ClusterName],
    namespace: Path[schemas.NamespaceName],
) -> Status[Any]:
    """Scan a Namespace now.

    For whoever may see it. The answer does not wait for the scan: Location is where to watch it.
    """
    caller = caller_of(request)
    caller.require_write()
    found = caller.namespace(cluster, namespace)
    return requested(response, cluster=cluster, namespace=namespace, is_told=request_scan(found))
