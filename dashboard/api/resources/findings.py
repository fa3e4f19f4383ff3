"""Findings: what checks said, since when, and what was put right."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from dashboard.api import schemas
from dashboard.api.items import Items
from dashboard.api.keys import Caller, caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from dashboard.api.places import places_of
from scanner.models import Finding, FindingQuerySet, Freshness

router = Router(tags=["Findings"])
ORDER = Order("findings", (("pk", int),))


@router.get("/findings", response=schemas.Page[schemas.FindingItem], url_name="api-findings")
def findings(
    request: HttpRequest, filters: Query[schemas.FindingFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Findings, the open ones unless you say otherwise.

    In the order in which they were first seen. The code says what kind of problem it is; docs/checks.md explains each.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    rows = matching(caller, filters, fresh)
    page = page_of(request, rows, ORDER, limit=paging.limit, cursor=paging.cursor)
    items, places = Items(request, fresh), places_of(page.items, caller)
    return shown(page, lambda finding: items.finding(finding, places(finding)))


def matching(caller: Caller, chosen: schemas.FindingFilters, fresh: Freshness) -> FindingQuerySet:
    namespaces = caller.namespaces.of_clusters(fresh.clusters)
    rows = Finding.objects.within(namespaces.named([chosen.namespace]) if chosen.namespace else namespaces)
    rows = rows.seen_by(caller.user)
    if chosen.state == "open":
        rows = rows.open()
    if chosen.state == "resolved":
        rows = rows.resolved()
    if chosen.credential:
        rows = rows.of_slug(chosen.credential)
    if chosen.code:
        rows = rows.of_code(chosen.code)
    return rows.of_status(chosen.status) if chosen.status else rows
