"""For probes and load balancers; without sign-in, and without the name of anything that is scanned."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.readiness import readiness


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while pages cannot be served. The broker and the scans are told, but pages do without."""
    found = readiness(now=timezone.now())
    return JsonResponse(found.told, status=200 if found.is_ready else 503)
