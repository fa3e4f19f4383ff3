"""The audit: who created what, where, and how it ended."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.audit import AuditPage


@never_cache
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    return render(request, "audit/audit.html", {"page": AuditPage(request.user, request.GET)})
