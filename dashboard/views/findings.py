"""What checks found: each cause once, or finding by finding; and a whole cause acknowledged at once."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.acknowledge_page import AcknowledgeAllPage
from dashboard.findings_page import FindingFilters, FindingsPage
from dashboard.shell import shell_of
from dashboard.views.partial import page_or_part, tag


@never_cache
@require_safe
def findings(request: HttpRequest) -> HttpResponse:
    page = findings_page(request)
    if page is None:
        return redirect("matrix")  # which says why there is no cluster, and what to do
    if request.headers.get("HX-Target", "").startswith("rows-"):
        return render(request, "findings/page.html#rows", {"page": page})
    return page_or_part(request, "findings/page.html", parts=("list",), seen=tag(page.state), context={"page": page})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest) -> HttpResponse:
    """Of all that the findings page shows with the same query. GET only shows the form."""
    found = findings_page(request)
    if found is None:
        return redirect("matrix")
    is_sent = request.method == "POST"
    page = AcknowledgeAllPage(found, request.user, now=shell_of(request).now, data=request.POST if is_sent else None)
    count = page.submit() if is_sent else 0
    if not count:
        return render(request, "findings/acknowledge.html", {"page": page}, status=422 if is_sent else 200)
    messages.success(request, f"{count} cell{'' if count == 1 else 's'} acknowledged or snoozed.")
    return redirect(page.back_url)


def findings_page(request: HttpRequest) -> FindingsPage | None:
    """None while the person can see no cluster."""
    shell = shell_of(request)
    cluster = shell.require_cluster()
    if cluster is None:
        return None
    named = request.GET.get("cluster", "")
    return FindingsPage(cluster, request.user, FindingFilters.read(request.GET), cluster_in_url=named, now=shell.now)
