"""One cell: the drawer over the matrix, or a page of its own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.cell_page import CellPage
from dashboard.identity import visible_namespace
from dashboard.shell import shell_of
from dashboard.views.partial import page_or_part, tag
from scanner.models import Cell


@never_cache
@require_safe
def cell(request: HttpRequest, cluster: str, namespace: str, credential: str) -> HttpResponse:
    page = CellPage(visible_cell(request, cluster, namespace, credential), request.user, now=shell_of(request).now)
    return page_or_part(
        request, "cell.html", parts=("cell", "drawer-body"), seen=tag(page.state), context={"page": page}
    )


def visible_cell(request: HttpRequest, cluster: str, namespace: str, credential: str) -> Cell:
    """A cell that the person may see. Raises Http404, the same for one that is hidden and one that is not there."""
    where = visible_namespace(request, cluster, namespace)
    found: Cell = get_object_or_404(Cell.objects.of_namespace(where), credential__slug=credential)
    found.namespace = where
    return found
