"""What programs use: keys of the API and its reference, calendars, tables as CSV."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import exporting
from dashboard.api.document import document
from dashboard.api.document import reference as reference_of
from dashboard.expiry_calendar import calendar_of, feed_address
from dashboard.identity import as_of_now
from dashboard.key_form import KeyForm
from dashboard.models import ApiKey, CalendarFeed
from dashboard.shell import shell_of


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """What the API can do, as a page."""
    return render(request, "api/reference.html", {"reference": reference_of(document())})


@login_not_required
@require_safe
def openapi(request: HttpRequest) -> JsonResponse:
    """The same as an OpenAPI document, for generators of clients. It tells nothing about what is scanned."""
    return JsonResponse(document())


@never_cache
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def api_keys(request: HttpRequest) -> HttpResponse:
    """The keys, and making one. Its text is in the answer to the form and nowhere else."""
    now = timezone.now()
    form = KeyForm(request.POST if request.method == "POST" else None, user=request.user)
    made = form.issue(now=now) if form.is_bound and form.is_valid() else None
    keys = [(key, key.state_at(now)) for key in ApiKey.objects.manageable_by(request.user)]
    context = {"form": form if made is None else KeyForm(user=request.user), "keys": keys, "made": made}
    return render(request, "settings/api_keys.html", context, status=422 if form.errors else 200)


@require_POST
def revoke_key(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    key = get_object_or_404(ApiKey.objects.manageable_by(request.user), pk=pk)
    if ApiKey.objects.revoke(key, now=timezone.now()):
        messages.success(request, f"Revoked the key {key.name}. Programs that use it are refused from now on.")
    return redirect("api-keys")


@never_cache
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def calendar_feeds(request: HttpRequest) -> HttpResponse:
    """The addresses of calendars, and making one, which is shown once."""
    made = None
    if request.method == "POST":
        _, token = CalendarFeed.objects.issue(request.user, now=timezone.now())  # type: ignore[arg-type]
        made = feed_address(request, token)
    feeds = CalendarFeed.objects.manageable_by(request.user)
    return render(request, "settings/calendar_feeds.html", {"feeds": feeds, "made": made})


@require_POST
def revoke_feed(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    feed = get_object_or_404(CalendarFeed.objects.manageable_by(request.user), pk=pk)
    if CalendarFeed.objects.revoke(feed, now=timezone.now()):
        messages.success(request, "Revoked the address. Calendars that read it get nothing from now on.")
    return redirect("calendar-feeds")


@login_not_required
@sensitive_variables()
@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponseBase:
    """When credentials end, for whoever has the address."""
    feed = CalendarFeed.objects.holding(token)
    if feed is None:
        raise Http404("No such calendar")
    now = timezone.now()
    CalendarFeed.objects.note_use(feed, now=now)
    return calendar_of(request, as_of_now(feed.user), now=now)


@require_safe
def export(request: HttpRequest, table: str) -> HttpResponseBase:
    """A table with the filters of its page, as CSV."""
    if table not in exporting.TABLES:
        raise Http404("No such table")
    return exporting.response(table, request.user, request.GET, shell_of(request))
