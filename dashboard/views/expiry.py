"""When credentials end, all on one clock: as a list, a calendar, and what has no end."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.endings import ExpiryFilters
from dashboard.expiry_page import ExpiryPage
from dashboard.shell import shell_of
from dashboard.views.partial import page_or_part, tag


@never_cache
@require_safe
def expiry(request: HttpRequest) -> HttpResponse:
    shell = shell_of(request)
    cluster = shell.require_cluster()
    if cluster is None:
        return redirect("matrix")  # which says why there is no cluster, and what to do
    filters, named = ExpiryFilters.read(request.GET), request.GET.get("cluster", "")
    page = ExpiryPage(cluster, request.user, filters, cluster_in_url=named, now=shell.now)
    target = request.headers.get("HX-Target", "")
    if target == "endless" or target.startswith("rows-"):
        return render(request, f"expiry/page.html#{'endless' if target == 'endless' else 'rows'}", {"page": page})
    return page_or_part(request, "expiry/page.html", parts=("list",), seen=tag(page.state), context={"page": page})
