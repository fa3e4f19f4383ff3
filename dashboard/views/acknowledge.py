"""Acknowledge or snooze a cell, and end that. A GET only shows the form, so a link in a mail changes nothing."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from dashboard.acknowledge_page import AcknowledgePage
from dashboard.acknowledging import end
from dashboard.cell_page import CellPage
from dashboard.shell import shell_of
from dashboard.views.cells import visible_cell
from dashboard.views.partial import tag
from scanner.models import Cell


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest, cluster: str, namespace: str, credential: str) -> HttpResponse:
    in_drawer = bool(request.headers.get("HX-Request"))
    cell = visible_cell(request, cluster, namespace, credential)
    is_sent = request.method == "POST"
    page = AcknowledgePage(cell, request.user, now=shell_of(request).now, data=request.POST if is_sent else None)
    made = page.submit() if is_sent else None
    if made is None:
        template = "acknowledge/form.html#part" if in_drawer else "acknowledge/form.html"
        return render(request, template, {"page": page, "in_drawer": in_drawer}, status=422 if is_sent else 200)
    return _changed(request, cell, f"{made.verb.capitalize()} until {timezone.localtime(made.until):%d %B %Y}.")


@require_POST
def acknowledgement_end(request: HttpRequest, cluster: str, namespace: str, credential: str) -> HttpResponse:
    """End what is in force for the cell; nothing happens when that is nothing any more."""
    cell = visible_cell(request, cluster, namespace, credential)
    now = shell_of(request).now
    found = CellPage(cell, request.user, now=now).acknowledgement
    if found is not None:
        end(request.user, found, now=now)
    return _changed(request, cell, "Ended: the cell counts again.")


def _changed(request: HttpRequest, cell: Cell, words: str) -> HttpResponse:
    page = CellPage(cell, request.user, now=shell_of(request).now)
    if not request.headers.get("HX-Request"):
        messages.success(request, words)
        return redirect(page.url)
    response = render(request, "cell.html#part", {"page": page, "seen": tag(page.state)})
    return trigger_client_event(response, "cell-changed", {})
