"""Celery's way in: claim what is due, fetch by id, call one function. Every task may run twice."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from scanner import scan
from scanner.models import Cluster, Namespace
from scanner.scan.removing import unless_removed


@shared_task(ignore_result=True)
def dispatch_scans() -> None:
    """Send a task for every cluster and Namespace whose scan is due and which nobody claimed before us."""
    now = timezone.now()
    for cluster in Cluster.objects.due(now):
        if cluster.claim_scan(now=now):
            _send(scan_cluster, cluster)
    for namespace in Namespace.objects.due(now).order_by("next_scan_at")[:5000].iterator():
        if namespace.claim_scan():
            _send(scan_namespace, namespace)


def _send(task: Task[Any, Any], row: Cluster | Namespace) -> None:
    """Raises when the broker is down; `row` is due again then."""
    try:
        task.delay(row.pk)
    except (BrokerError, OSError):
        row.save(update_fields=["next_scan_at"])
        raise


@shared_task(ignore_result=True)
def scan_cluster(cluster_id: int) -> None:
    cluster = Cluster.objects.filter(pk=cluster_id).first()
    if cluster is not None:
        with unless_removed(cluster):
            done = scan.scan_cluster(cluster)
            if done is not None and done.mode == "namespaces":
                dispatch_scans.delay()


@shared_task(ignore_result=True, soft_time_limit=110, time_limit=120)
def scan_namespace(namespace_id: int) -> None:
    namespace = Namespace.objects.select_related("cluster").filter(pk=namespace_id).first()
    if namespace is not None:
        with unless_removed(namespace.cluster):
            scan.scan_namespace(namespace)
