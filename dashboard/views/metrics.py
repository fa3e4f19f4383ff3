"""For Prometheus: `dashboard.metrics` in the format that was asked for."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from dashboard.identity import is_operator
from dashboard.metrics import registry


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """They name Namespaces: for who has the token of `settings.METRICS_TOKEN`, and for operators."""
    if not _has_token(request):
        if request.headers.get("Authorization") or not request.user.is_authenticated:
            refusal = "Send the token in CREDBOARD_METRICS_TOKEN as bearer token, or sign in as an operator.\n"
            headers = {"WWW-Authenticate": "Bearer"}
            return HttpResponse(refusal, status=401, headers=headers, content_type="text/plain; charset=utf-8")
        if not is_operator(request.user):
            return HttpResponse("Only operators may read metrics.\n", status=403, content_type="text/plain")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry(now=timezone.now())), content_type=content_type)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected: str = settings.METRICS_TOKEN
    given = token.strip().encode("utf-8", "surrogateescape")
    return bool(expected) and scheme.lower() == "bearer" and hmac.compare_digest(given, expected.encode())
