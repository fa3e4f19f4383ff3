"""Credentials: the columns of the matrix, with how many Namespaces each hurts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from dashboard.api import schemas
from dashboard.api.items import credential_item
from dashboard.api.keys import caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from scanner.models import Cell, Credential

router = Router(tags=["Credentials"])
ORDER = Order("credentials", (("cluster_id", int), ("slug", str)))


@router.get("/credentials", response=schemas.Page[schemas.CredentialItem], url_name="api-credentials")
def credentials(
    request: HttpRequest, filters: Query[schemas.CredentialFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """The credentials that your Namespaces need, with counts per status.

    By cluster and name.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    visible = None if caller.sees_everything else caller.namespaces
    rows = Credential.objects.of_clusters(fresh.clusters).needed(visible=visible)
    rows = rows.of_slug(filters.credential) if filters.credential else rows
    page = page_of(request, rows, ORDER, limit=paging.limit, cursor=paging.cursor)
    counts = Cell.objects.status_counts([row.pk for row in page.items], fresh, visible=visible)
    return shown(page, lambda row: credential_item(row, counts.get(row.pk, {})))
