"""The use case that reads a cluster, or one Namespace of it, and stores what it finds.

Nothing here may raise for what a cluster does: a `ClusterError` ends the scan as failed, with its words kept for the page,
and everything that an earlier scan stored stays. What is too old to be believed is shown as unknown when it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from scanner import cluster as api
from scanner import raw
from scanner.check import Status
from scanner.credential import Fingerprint
from scanner.models import Cluster, Namespace, Scan
from scanner.policy import Policy
from scanner.recording import close_namespace, mark_gone, record
from scanner.snapshot import Elsewhere, Place
from scanner.verdict import Verdict, judge_all

log = logging.getLogger(__name__)

#: Seconds that a scanning worker may be silent before another may take its cluster over.
LEASE: Final = 120


class StoredElsewhere(Elsewhere):
    """The pull Secrets of a cluster's Namespaces as stored, read only when a check asks."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._loaded = False

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            rows = Namespace.objects.filter(cluster=self._cluster, gone_at=None).values_list("name", "pull_secrets")
            for name, pull_secrets in rows.iterator():
                self.add(name, pull_secrets)

    def named(self, secret: str, *, besides: str) -> list[Place]:
        self._load()
        return super().named(secret, besides=besides)

    def covering(self, image: str, *, besides: str) -> list[Place]:
        self._load()
        return super().covering(image, besides=besides)

    def keys_of(self, place: Place) -> list[str]:
        self._load()
        return super().keys_of(place)


def fingerprint() -> Fingerprint:
    """Keyed with this installation's own key."""
    return Fingerprint(settings.FINGERPRINT_KEY.encode())


def connect(cluster: Cluster) -> api.Cluster:
    """Raises `cluster.BadConfiguration` when the kubeconfig of `cluster` is no use."""
    return api.Cluster.from_kubeconfig(cluster.kubeconfig or None, cluster.context or None)


def scan_cluster(cluster: Cluster) -> Scan | None:
    """Scan all of `cluster` with cluster-wide lists; None when someone else is at it.

    Where such a list is forbidden the Namespaces become due one by one instead (`mode` "namespaces"), and the caller
    sends a task for each of `due_namespaces`.
    """
    started_at = timezone.now()
    if not cluster.take_lease(now=started_at, seconds=LEASE):
        return None
    try:
        Scan.objects.of_whole_cluster().filter(cluster=cluster, state=Scan.State.RUNNING).update(
            state=Scan.State.FAILED, finished_at=started_at, error_kind="Interrupted", error="The scan was interrupted."
        )
        scan = Scan.objects.create(cluster=cluster, started_at=started_at)
        with _failing(scan), connect(cluster) as connection:
            try:
                _scan_wide(scan, connection)
            except api.ClusterWideForbidden:
                _hand_out(scan, connection)
        return scan
    finally:
        cluster.end_lease()


def _scan_wide(scan: Scan, connection: api.Cluster) -> None:
    cluster = scan.cluster

    def progress(done: int, total: int | None) -> None:
        scan.namespaces_total = total

    objects = connection.namespaces(
        include=cluster.include, exclude=cluster.exclude, label_selector=cluster.label_selector, progress=progress
    )
    verdicts = judge_all(objects, policy=Policy(), now=scan.started_at, fingerprint=fingerprint())
    for batch in record(cluster, verdicts, now=scan.started_at):
        _count(scan, batch)
        scan.save()
        cluster.extend_lease(now=timezone.now(), seconds=LEASE)
    mark_gone(cluster, unseen_since=scan.started_at, now=scan.started_at)
    _finish(scan)


def _hand_out(scan: Scan, connection: api.Cluster) -> None:
    """Make every Namespace of the cluster due for a scan of its own."""
    cluster = scan.cluster
    names = [name for name in _names(cluster, connection) if is_selected(name, cluster.include, cluster.exclude)]
    now = scan.started_at
    with transaction.atomic():
        known = set(Namespace.objects.filter(cluster=cluster).values_list("name", flat=True))
        Namespace.objects.bulk_create(Namespace(cluster=cluster, name=name) for name in names if name not in known)
        for start in range(0, len(names), 500):
            chunk = names[start : start + 500]
            Namespace.objects.filter(cluster=cluster, name__in=chunk).update(next_scan_at=now, gone_at=None)
    listed = set(names)
    for gone in Namespace.objects.filter(cluster=cluster, gone_at=None).iterator():
        if gone.name not in listed:
            close_namespace(gone, now=now)
    scan.mode = "namespaces"
    scan.namespaces_total = len(names)
    if names:
        scan.save()
    else:
        _finish(scan)


def _names(cluster: Cluster, connection: api.Cluster) -> list[str]:
    try:
        return sorted(connection.namespace_names(label_selector=cluster.label_selector))
    except api.Forbidden:
        # Without the right to list Namespaces, those that `include` spells out can still be read.
        plain = [name for name in cluster.include if not set(name) & set("*?[")]
        if not plain:
            raise
        return sorted(plain)


def is_selected(name: str, include: list[str], exclude: list[str]) -> bool:
    """True for a Namespace name that matches a glob of `include` (or `include` is empty) and none of `exclude`."""
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return False
    return not include or any(fnmatchcase(name, pattern) for pattern in include)


def scan_namespace(namespace: Namespace) -> Scan:
    """Scan one Namespace, as `scan_cluster` would."""
    cluster, started_at = namespace.cluster, timezone.now()
    scan = Scan.objects.create(cluster=cluster, namespace=namespace.name, started_at=started_at, namespaces_total=1)
    with _failing(scan), connect(cluster) as connection:
        try:
            objects: list[raw.NamespaceObjects] = [connection.namespace(namespace.name)]
        except api.NotFound:
            close_namespace(namespace, now=started_at)
            objects = []
        elsewhere = StoredElsewhere(cluster)
        verdicts = judge_all(objects, policy=Policy(), now=started_at, fingerprint=fingerprint(), elsewhere=elsewhere)
        for batch in record(cluster, verdicts, now=started_at):
            _count(scan, batch)
        _finish(scan)
    _advance_handed_out(cluster, scan)
    return scan


def _advance_handed_out(cluster: Cluster, scan: Scan) -> None:
    """Count a scanned Namespace in the cluster's scan that handed it out; the last one finishes that scan."""
    running = Scan.objects.of_whole_cluster().filter(cluster=cluster, state=Scan.State.RUNNING, mode="namespaces")
    running.update(
        namespaces_done=F("namespaces_done") + 1,
        **{status: F(status) + getattr(scan, status) for status in ("critical", "warning", "unknown", "ok")},
    )
    running.filter(namespaces_done__gte=F("namespaces_total")).update(state=Scan.State.DONE, finished_at=timezone.now())


def _count(scan: Scan, batch: list[Verdict]) -> None:
    scan.namespaces_done += len(batch)
    for status in Status:
        setattr(scan, status, getattr(scan, status) + sum(verdict.status is status for verdict in batch))


def _finish(scan: Scan) -> None:
    scan.state = Scan.State.DONE
    scan.finished_at = timezone.now()
    scan.save()


@contextmanager
def _failing(scan: Scan) -> Iterator[None]:
    """A `ClusterError` becomes the outcome of `scan`; anything else is a bug: it is recorded as such and raised."""
    try:
        yield
    except api.ClusterError as error:
        _fail(scan, type(error).__name__, str(error), error.remedy)
        log.warning("Scan of %s failed: %s", scan.cluster, error)
    except Exception as error:
        # The text of an unforeseen exception may quote what it choked on, so only its type is kept.
        _fail(scan, type(error).__name__, f"Credboard failed ({type(error).__name__}). The log of the worker has more.", "")
        raise


def _fail(scan: Scan, kind: str, message: str, remedy: str) -> None:
    scan.state = Scan.State.FAILED
    scan.finished_at = timezone.now()
    scan.error_kind = kind
    scan.error = message[:1000]
    scan.remedy = remedy[:2000]
    scan.save()


def request_scan(namespace: Namespace, *, now: datetime | None = None) -> bool:
    """Have `namespace` scanned as soon as possible. True when a worker was told; False when the broker is down, and the
    scan follows once it is back, since the row says that it is due."""
    namespace.next_scan_at = now or timezone.now()
    namespace.save(update_fields=["next_scan_at"])
    return _tell_dispatcher()


def request_cluster_scan(cluster: Cluster) -> bool:
    """Have all of `cluster` scanned as soon as possible; answers as `request_scan`."""
    cluster.next_scan_at = timezone.now()
    cluster.save(update_fields=["next_scan_at"])
    return _tell_dispatcher()


def _tell_dispatcher() -> bool:
    from scanner.tasks import dispatch_scans  # tasks imports this module

    try:
        dispatch_scans.delay()
    except (BrokerError, OperationalError, OSError) as error:
        log.warning("The broker is down (%s); the scan follows when it is back", type(error).__name__)
        return False
    return True
