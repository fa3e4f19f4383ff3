"""Create a missing pull Secret, and watch the cell turn green."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from dashboard.create_page import CreatedPage, CreatePage, created_url
from dashboard.identity import visible_namespace


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, cluster: str, namespace: str, credential: str) -> HttpResponse:
    in_drawer = bool(request.headers.get("HX-Request"))
    page = CreatePage(visible_namespace(request, cluster, namespace), credential)
    created = page.submit(request.POST, request.user) if request.method == "POST" else None
    if created is None:
        template = "create/form.html#part" if in_drawer else "create/form.html"
        context = {"page": page, "in_drawer": in_drawer}
        return render(request, template, context, status=422 if request.method == "POST" else 200)
    if not in_drawer:
        messages.success(request, f"Created the Secret {created.name} in {namespace}.")
        return HttpResponseRedirect(created_url(page, after=created.at))
    watch = CreatedPage(page.namespace, credential, after=created.at.isoformat(), polls="", now=timezone.now())
    return render(request, "create/created.html#part", {"page": watch, "created": created, "in_drawer": True})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def created(request: HttpRequest, cluster: str, namespace: str, credential: str) -> HttpResponse:
    """How far the rescan is. POST is the page's own poll, which may ask for one more scan."""
    where = visible_namespace(request, cluster, namespace)
    after, polls = request.GET.get("after", ""), request.GET.get("polls", "")
    page = CreatedPage(where, credential, after=after, polls=polls, now=timezone.now())
    if request.method != "POST":
        return render(request, "create/created.html", {"page": page})
    page.look_again()
    response = render(request, "create/created.html#status", {"page": page})
    return trigger_client_event(response, "cell-changed", {}) if page.has_news else response
