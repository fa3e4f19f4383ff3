"""Acknowledgements and snoozes: what people have seen to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Path, Query, Router, Status

from dashboard import acknowledging
from dashboard.api import schemas
from dashboard.api.items import Items
from dashboard.api.keys import Caller, caller_of
from dashboard.api.paging import Order, Page, page_of, shown
from dashboard.api.problems import CONFLICT, NOT_FOUND, Problem, invalid
from dashboard.models import Acknowledgement, AcknowledgementQuerySet
from scanner.models import Cell, Freshness

router = Router(tags=["Acknowledgements"])
ORDER = Order("acknowledgements", (("-pk", int),))


@router.get("/acknowledgements", response=schemas.Page[schemas.AcknowledgementItem], url_name="api-acknowledgements")
def acknowledgements(
    request: HttpRequest, filters: Query[schemas.AcknowledgementFilters], paging: Query[schemas.Paging]
) -> Page[dict[str, Any]]:
    """Acknowledgements, those in force unless you say otherwise.

    Newest first. One of a state ends by itself when the cell changes; a snooze lasts until its date.
    """
    caller = caller_of(request)
    fresh = caller.freshness(filters.cluster)
    page = page_of(request, matching(caller, filters, fresh), ORDER, limit=paging.limit, cursor=paging.cursor)
    return shown(page, Items(request, fresh).acknowledgement)


def matching(caller: Caller, chosen: schemas.AcknowledgementFilters, fresh: Freshness) -> AcknowledgementQuerySet:
    namespaces = caller.namespaces.of_clusters(fresh.clusters)
    rows = Acknowledgement.objects.within(namespaces.named([chosen.namespace]) if chosen.namespace else namespaces)
    rows = rows.seen_by(caller.user)
    if chosen.state == "in-force":
        rows = rows.in_force(fresh.now)
    return rows.of_credential(chosen.credential) if chosen.credential else rows


@router.post("/acknowledgements", response={201: schemas.AcknowledgementItem}, url_name="api-acknowledgements")
def acknowledge(request: HttpRequest, body: schemas.NewAcknowledgement) -> Status[Any]:
    """Acknowledge or snooze a cell.

    It replaces one that is in force for the same cell. The status of the cell does not change, only who is told.
    """
    caller = caller_of(request)
    caller.require_write()
    found = caller.namespace(body.cluster, body.namespace)
    fresh = caller.freshness(body.cluster)
    note = _checked(body, fresh)
    if not Cell.objects.of_namespace(found).of_slug(body.credential).exists():
        raise Problem(NOT_FOUND, "The Namespace has no cell of this credential.")
    try:
        made = acknowledging.acknowledge(
            caller.user, found, body.credential, note=note, until=body.until, is_snooze=body.is_snooze, now=fresh.now
        )
    except acknowledging.CannotAcknowledge as error:
        raise Problem(CONFLICT, error.words) from None
    return Status(201, Items(request, fresh).acknowledgement(made))


def _checked(body: schemas.NewAcknowledgement, fresh: Freshness) -> str:
    try:
        return acknowledging.checked(body.note, body.until, now=fresh.now)
    except acknowledging.CannotAcknowledge as error:
        raise invalid("body", error.words) from None


@router.delete("/acknowledgements/{int:pk}", response={204: None}, url_name="api-acknowledgement")
def end(request: HttpRequest, pk: Path[schemas.Key]) -> Status[None]:
    """End an acknowledgement before its date.

    Nothing happens when it has ended already.
    """
    caller = caller_of(request)
    caller.require_write()
    found = Acknowledgement.objects.within(caller.namespaces).seen_by(caller.user).keyed(pk)
    if found is None:
        raise Problem(NOT_FOUND, "You can see no acknowledgement with this number.")
    try:
        acknowledging.end(caller.user, found, now=caller.freshness().now)
    except acknowledging.CannotAcknowledge as error:
        raise Problem(NOT_FOUND, error.words) from None
    return Status(204, None)
