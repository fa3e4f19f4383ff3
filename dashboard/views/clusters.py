"""Clusters: which are scanned, how, and whether Credboard gets in."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.clusters_page import rows
from dashboard.forms_cluster import ClusterForm, RemoveClusterForm, note
from dashboard.identity import operator_required
from scanner.models import AuditEntry, Cluster
from scanner.scan import request_cluster_scan
from scanner.scan.choosing import try_cluster
from scanner.scan.removing import remove_cluster


@never_cache
@require_safe
@operator_required
def clusters(request: HttpRequest) -> HttpResponse:
    """All of them, with how their scans go."""
    return render(request, "settings/clusters.html", {"rows": rows(now=timezone.now())})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables()
@sensitive_post_parameters("kubeconfig", "draft")
@operator_required
def cluster_edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Add a cluster, or change the one with `pk`: it is asked first, and saved when it answers well."""
    cluster = get_object_or_404(Cluster.objects.for_page(), pk=pk) if pk is not None else None
    given: tuple[Any, ...] = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = ClusterForm(*given, user=request.user, cluster=cluster)
    trial = form.trial() if form.is_valid() else None
    is_test = request.POST.get("action") == "test"
    if trial is not None and not is_test and form.may_save(trial):
        saved = form.save(trial)
        told = request_cluster_scan(saved)
        messages.success(request, f"{saved.name} is saved. {'It is scanned now.' if told else 'It is scanned soon.'}")
        return redirect("clusters")
    context = {"form": form, "trial": trial, "is_test": is_test, "pk": pk}
    return render(request, "settings/cluster.html", context, status=422 if form.is_bound and not is_test else 200)


@require_POST
@operator_required
def cluster_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the cluster as it is saved, and say in place what it answered."""
    cluster = get_object_or_404(Cluster.objects.for_page(), pk=pk)
    trial = try_cluster(cluster)
    outcome = AuditEntry.Outcome.FAILED if trial.error else AuditEntry.Outcome.DONE
    note(cluster, "test-cluster", request.user, outcome=outcome)
    if request.headers.get("HX-Request"):
        return render(request, "settings/cluster_trial.html", {"trial": trial, "pk": pk})
    context = {"rows": rows(now=timezone.now()), "trial": trial, "tested": pk}
    return render(request, "settings/clusters.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@operator_required
def cluster_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for its name, then forget the cluster and what was found in it."""
    cluster = get_object_or_404(Cluster, pk=pk)
    form = RemoveClusterForm(request.POST if request.method == "POST" else None, cluster=cluster)
    if form.is_valid():
        remove_cluster(cluster, also=partial(note, cluster, "remove-cluster", request.user))
        messages.success(request, f"{cluster.name} is removed: it is no longer scanned.")
        return redirect("clusters")
    context = {"form": form, "row": rows(now=timezone.now(), pk=pk)[0]}
    return render(request, "settings/cluster_remove.html", context, status=422 if form.is_bound else 200)
