"""The matrix: every credential of every Namespace that the person may see."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from dashboard.drawer import annotate_command
from dashboard.identity import is_operator, operator_required, visible_namespace
from dashboard.matrix_page import Filters, MatrixPage
from dashboard.shell import shell_of
from dashboard.views.partial import page_or_part, tag
from scanner.models import Cluster
from scanner.scan import request_cluster_scan, request_scan


@never_cache
@require_safe
def matrix(request: HttpRequest) -> HttpResponse:
    """The matrix; before the first good scan, how that scan goes; without any cluster, what to do."""
    shell = shell_of(request)
    cluster = shell.require_cluster()
    if cluster is None:
        return _no_cluster(request)
    if shell.last_good_scan is None:
        return page_or_part(request, "first_scan.html", parts=("first-scan",), seen=tag(shell.state), context={})
    filters, named = Filters.read(request.GET), request.GET.get("cluster", "")
    page = MatrixPage(cluster, request.user, filters, path=request.path, cluster_in_url=named, now=shell.now)
    if request.headers.get("HX-Target") == "trend":
        return render(request, "matrix.html#trend", {"page": page})
    seen = tag(page.matrix, page.tallies, page.own_url, shell.state)
    return page_or_part(request, "matrix.html", parts=("matrix",), seen=seen, context={"page": page})


def _no_cluster(request: HttpRequest) -> HttpResponse:
    if is_operator(request.user):
        return render(request, "first_run.html")
    command = annotate_command("NAMESPACE", request.user.get_username())
    return render(request, "no_namespaces.html", {"annotate_command": command})


@require_POST
@operator_required
def scan_now(request: HttpRequest, cluster: str) -> HttpResponseRedirect:
    """Have the whole cluster scanned; back to where the person was."""
    told = request_cluster_scan(get_object_or_404(Cluster, name=cluster))
    _say(request, told, what=cluster)
    return _back(request, reverse("matrix"))


@require_POST
def scan_namespace(request: HttpRequest, cluster: str, namespace: str) -> HttpResponseRedirect:
    """Have one Namespace scanned, by whoever may see it."""
    told = request_scan(visible_namespace(request, cluster, namespace))
    _say(request, told, what=namespace)
    return _back(request, reverse("namespace", args=[cluster, namespace]))


def _say(request: HttpRequest, told: bool, *, what: str) -> None:
    if told:
        messages.success(request, f"Scanning {what} now. This page follows along.")
    else:
        messages.warning(request, f"The scan of {what} is noted. It starts as soon as Redis answers again.")


def _back(request: HttpRequest, default: str) -> HttpResponseRedirect:
    to = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(to if is_ours else default)  # not `redirect`, which would look for a view of its name
