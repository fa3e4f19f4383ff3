"""Alert routes: who is told of what, whether that works, and what was told."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.alerting.delivery import send_test
from dashboard.alerting.forms import AlertRouteForm
from dashboard.alerting.page import RouteRow, RoutesPage, note
from dashboard.alerting.present import send_present_trouble
from dashboard.identity import operator_required
from dashboard.models import AlertRoute
from scanner.models import AuditEntry


@never_cache
@require_safe
@operator_required
def alert_routes(request: HttpRequest) -> HttpResponse:
    """All routes with their health, and the last messages."""
    return render(request, "settings/alert_routes.html", {"alerts": RoutesPage(now=timezone.now())})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("address")
@operator_required
def alert_route(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Add a route, or change the one with `pk`."""
    route = get_object_or_404(AlertRoute, pk=pk) if pk is not None else None
    form = AlertRouteForm(request.POST if request.method == "POST" else None, instance=route)
    if form.is_valid():
        with transaction.atomic():
            kept = form.keep(actor=request.user.get_username())
            note(kept, "change-alert-route" if pk else "create-alert-route", request.user, changed=form.changed_data)
        messages.success(request, f"{kept.name} is saved.{'' if pk else ' Send a test to see that it arrives.'}")
        return redirect("alert-route", pk=kept.pk)
    return _form(request, form, status=422 if form.is_bound else 200)


def _form(
    request: HttpRequest, form: AlertRouteForm, *, status: int = 200, tested: bool = False, error: str = ""
) -> HttpResponse:
    # A form that is not valid has put what was typed into its instance: the page tells of the route as it is.
    route = AlertRoute.objects.for_page().get(pk=form.instance.pk) if form.instance.pk else None
    row = RouteRow(route, now=timezone.now()) if route else None
    context = {"form": form, "row": row, "tested": tested, "error": error}
    return render(request, "settings/alert_route.html", context, status=status)


@require_POST
@operator_required
def alert_route_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test message and say in place how that went."""
    route = get_object_or_404(AlertRoute, pk=pk)
    error = send_test(route)
    outcome = AuditEntry.Outcome.FAILED if error else AuditEntry.Outcome.DONE
    note(route, "test-alert-route", request.user, outcome=outcome)
    if request.headers.get("HX-Request"):
        context = {"row": RouteRow(route, now=timezone.now()), "tested": True, "error": error}
        return render(request, "settings/alert_route.html#result", context)
    return _form(request, AlertRouteForm(instance=route), tested=True, error=error)


@require_POST
@operator_required
def alert_route_critical(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the route told of all that is critical now."""
    route = get_object_or_404(AlertRoute.objects.enabled(), pk=pk)
    number = send_present_trouble(route, now=timezone.now())
    note(route, "send-critical-now", request.user, cells=number)
    if number:
        cells = "1 critical cell" if number == 1 else f"{number} critical cells"
        messages.success(request, f"{route.name} is told of {cells} in one message, in a few seconds.")
    else:
        messages.info(request, f"Nothing that {route.name} asks for is critical now, so nothing is sent.")
    return redirect("alert-routes")


@require_POST
@operator_required
def alert_route_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failing route again without waiting for its turn."""
    route = get_object_or_404(AlertRoute, pk=pk)
    route.try_now()
    messages.info(request, f"{route.name} is tried again in a few seconds.")
    return redirect("alert-routes")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@operator_required
def alert_route_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then delete the route with its messages."""
    route = get_object_or_404(AlertRoute.objects.for_page(), pk=pk)
    if request.method != "POST":
        return render(request, "settings/alert_delete.html", {"row": RouteRow(route, now=timezone.now())})
    with transaction.atomic():
        note(route, "delete-alert-route", request.user)
        route.delete()
    messages.success(request, f"{route.name} is deleted. It gets no more messages.")
    return redirect("alert-routes")
