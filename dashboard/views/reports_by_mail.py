"""One's own report: choosing it, confirming an address, and leaving it with one click."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from dashboard.reports import settings as report_settings
from dashboard.reports.sending import subscription_of
from dashboard.reports.settings import ReportSettings
from dashboard.shell import shell_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    is_post = request.method == "POST"
    page = ReportSettings(request.user, request.POST if is_post else None, now=shell_of(request).now)
    if is_post and page.save():
        messages.success(request, page.said)
        return redirect("report-settings")
    return render(request, "settings/report.html", {"page": page}, status=422 if is_post else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """From a mailed link. A GET changes nothing: mail scanners open links."""
    asked = report_settings.asked(token, request.user)
    if asked is None:
        return render(request, "settings/confirm.html", status=404)
    if request.method != "POST":
        return render(request, "settings/confirm.html", {"address": asked["address"]})
    if report_settings.confirm(token, request.user, now=shell_of(request).now) is None:
        return render(request, "settings/confirm.html", {"taken": True}, status=409)
    messages.success(request, f"Reports now go to {asked['address']}.")
    return redirect("report-settings")


# Without the token of a form: RFC 8058 has the mail program post, which has no session. The link itself is the proof,
# and all that it opens is this.
@csrf_exempt
@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    subscription = subscription_of(token)
    if subscription is None:
        return render(request, "settings/unsubscribe.html", status=404)
    before = subscription.frequency
    if request.method == "POST":
        before = report_settings.switch(subscription, request.POST.get("frequency"), now=shell_of(request).now)
    context = {"subscription": subscription, "before": before, "is_done": request.method == "POST"}
    return render(request, "settings/unsubscribe.html", context)
