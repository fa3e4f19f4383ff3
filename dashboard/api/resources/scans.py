"""Scans: what each pass over a cluster or Namespace did."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from dashboard.api import schemas
from dashboard.api.items import Items
from dashboard.api.keys import caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from scanner.models import Scan

router = Router(tags=["Scans"])
ORDER = Order("scans", (("-pk", int),))


@router.get("/scans", response=schemas.Page[schemas.ScanItem], url_name="api-scans")
def scans(
    request: HttpRequest, filters: Query[schemas.ScanFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Scans, newest first.

    How many Namespaces a whole cluster has, and what is wrong with them, is for operators.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    rows = Scan.objects.within(caller.namespaces, fresh.clusters)
    rows = rows.of_namespace(filters.namespace) if filters.namespace else rows
    rows = rows.of_state(filters.state) if filters.state else rows
    page = page_of(request, rows, ORDER, limit=paging.limit, cursor=paging.cursor, read=Scan.objects.with_keys)
    items = Items(request, fresh)
    return shown(page, lambda scan: items.scan(scan, is_operator=caller.is_operator, in_full=caller.sees_all_of(scan)))
