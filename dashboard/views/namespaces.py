"""Everything about one Namespace."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.cell_page import NamespacePage
from dashboard.failed_scan import failed_scan
from dashboard.identity import visible_namespace
from dashboard.shell import shell_of
from dashboard.views.partial import page_or_part, tag


@never_cache
@require_safe
def namespace(request: HttpRequest, cluster: str, namespace: str) -> HttpResponse:
    found = visible_namespace(request, cluster, namespace)
    page = NamespacePage(found, request.user, now=shell_of(request).now)
    failed = failed_scan(found, request.user)
    seen, context = tag(page.state, failed), {"page": page, "failed_scan": failed}
    return page_or_part(request, "namespace.html", parts=("namespace",), seen=seen, context=context)
