"""Cells of the matrix: a credential in a Namespace that needs it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from dashboard.api import schemas
from dashboard.api.items import Items
from dashboard.api.keys import Caller, caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from dashboard.models import Acknowledgement
from scanner.models import Cell, CellQuerySet, Freshness

router = Router(tags=["Cells"])
ORDER = Order("cells", (("namespace_id", int), ("credential_id", int)))
BY_END = Order("expiry", (("expires_at", datetime), ("namespace_id", int), ("credential_id", int)))


@router.get("/cells", response=schemas.Page[schemas.CellItem], url_name="api-cells")
def cells(
    request: HttpRequest, filters: Query[schemas.CellFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Cells with their status now.

    A Namespace that needs a credential has a cell of it. What nothing needs has none: no cell does not mean well.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    rows = within(caller, filters, fresh)
    if filters.status:
        rows = rows.with_status_at(filters.status, fresh)
    if filters.reason:
        rows = rows.with_reason_at(filters.reason, fresh)
    return page_with_acknowledgements(request, rows, ORDER, paging, fresh)


@router.get("/expiry", response=schemas.Page[schemas.CellItem], url_name="api-expiry", tags=["Expiry"])
def expiry(
    request: HttpRequest, filters: Query[schemas.ExpiryFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Cells whose end is known, soonest first.

    With those that have ended. What has no known end is not here, which does not mean that it never ends.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    rows = within(caller, filters, fresh).ending(since=filters.since, until=filters.until)
    return page_with_acknowledgements(request, rows, BY_END, paging, fresh)


def within(caller: Caller, chosen: schemas.CellFilters | schemas.ExpiryFilters, fresh: Freshness) -> CellQuerySet:
    namespaces = caller.namespaces.of_clusters(fresh.clusters)
    if chosen.namespace:
        rows = Cell.objects.within(namespaces.named([chosen.namespace]))
    else:
        is_most = caller.sees_everything and (chosen.credential or not _is_about_state(chosen))
        rows = Cell.objects.of_most(namespaces) if is_most else Cell.objects.within(namespaces)
    return rows.of_slug(chosen.credential) if chosen.credential else rows


def _is_about_state(chosen: schemas.CellFilters | schemas.ExpiryFilters) -> bool:
    return isinstance(chosen, schemas.CellFilters) and bool(chosen.status or chosen.reason)


def page_with_acknowledgements(
    request: HttpRequest, rows: CellQuerySet, order: Order, paging: schemas.Paging, fresh: Freshness
) -> Page[dict[str, Any]]:
    page = page_of(request, rows, order, limit=paging.limit, cursor=paging.cursor, read=Cell.objects.with_keys)
    here = {cell.namespace_id for cell in page.items}
    covered = Acknowledgement.objects.covered(here, now=fresh.now) if here else set()
    items = Items(request, fresh)
    return shown(page, lambda cell: items.cell(cell, covered))
