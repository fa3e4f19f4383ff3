"""Clusters, and having one scanned."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from ninja import Path, Query, Router, Status

from dashboard.api import schemas
from dashboard.api.items import cluster_item
from dashboard.api.keys import caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from scanner.scan import request_cluster_scan

router = Router(tags=["Clusters"])
ORDER = Order("clusters", (("name", str),))


@router.get("/clusters", response=schemas.Page[schemas.ClusterItem], url_name="api-clusters")
def clusters(request: HttpRequest, paging: Query[schemas.Paging]) -> Page[dict[str, Any]]:
    """The clusters that you may see.

    By name.
    """
    rows = caller_of(request).cluster_rows
    return shown(page_of(request, rows, ORDER, limit=paging.limit, cursor=paging.cursor), cluster_item)


@router.post("/clusters/{name:cluster}/scan", response={202: schemas.ScanRequested}, url_name="api-scan-cluster")
def scan_cluster(request: HttpRequest, response: HttpResponse, cluster: Path[schemas.ClusterName]) -> Status[Any]:
    """Scan a cluster now.

    For operators. The answer does not wait for the scan: Location is where to watch it.
    """
    caller = caller_of(request)
    caller.require_write()
    found = caller.clusters(cluster)[0]
    caller.require_operator()
    return requested(response, cluster=found.name, is_told=request_cluster_scan(found))


def requested(response: HttpResponse, *, cluster: str, is_told: bool, namespace: str = "") -> Status[Any]:
    """What a request for a scan is answered with."""
    where = {"cluster": cluster, **({"namespace": namespace} if namespace else {}), "limit": "1"}
    response["Location"] = f"{reverse('api-scans')}?{urlencode(where)}"
    message = "The scan starts now." if is_told else "Noted. The scan starts as soon as Redis answers again."
    return Status(202, {"cluster": cluster, "namespace": namespace, "is_told": is_told, "message": message})
