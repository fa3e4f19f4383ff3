"""Reports: what was mailed, what the next one says, and a test of it."""

from __future__ import annotations

from csp.constants import SELF
from csp.decorators import csp_update
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from dashboard.reports.page import Preview, ReportsPage, framed, send_again, visible_mail
from dashboard.shell import shell_of


@never_cache
@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    page = ReportsPage(request.user, request.GET, now=shell_of(request).now)
    return render(request, "reports/reports.html", {"page": page})


@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # its types know of no arguments from the URL
@never_cache
@require_safe
def report_mail(request: HttpRequest, pk: int) -> HttpResponse:
    shown = visible_mail(request.user, pk, now=shell_of(request).now)
    return render(request, "reports/mail.html", {"shown": shown, "mail": shown.mail})


@never_cache
@require_safe
def report_mail_html(request: HttpRequest, pk: int) -> HttpResponse:
    return framed(visible_mail(request.user, pk, now=shell_of(request).now).mail.html)


@require_POST
def report_send_again(request: HttpRequest, pk: int) -> HttpResponse:
    obstacle = send_again(request.user, pk, now=shell_of(request).now)
    messages.add_message(
        request, messages.ERROR if obstacle else messages.SUCCESS, obstacle or "It is sent again within a minute."
    )
    return redirect("report-mail", pk=pk)


@csp_update({"frame-src": [SELF]})
@never_cache
@require_safe
def report_preview(request: HttpRequest) -> HttpResponse:
    return render(request, "reports/preview.html", {"preview": Preview(request.user, now=shell_of(request).now)})


@never_cache
@require_safe
def report_preview_html(request: HttpRequest) -> HttpResponse:
    return framed(Preview(request.user, now=shell_of(request).now).rendered.html)


@require_POST
def report_send_test(request: HttpRequest) -> HttpResponse:
    preview = Preview(request.user, now=shell_of(request).now)
    obstacle = preview.send_test()
    if obstacle:
        messages.error(request, obstacle)
        return redirect("report-preview")
    messages.success(request, f"A test is on its way to {preview.address}.")
    return redirect("reports")
