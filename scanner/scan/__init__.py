"""The use case that reads a cluster, or one Namespace of it, and stores what it finds.

Nothing here may raise for what a cluster does: a `ClusterError` ends the scan as failed, with its words kept for the
page, and everything that an earlier scan stored stays. What is too old to be believed is shown as unknown when it is
read.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from kombu.exceptions import OperationalError as BrokerError

from scanner import cluster as api
from scanner import raw
from scanner.check import Status
from scanner.collecting import fewer_collections
from scanner.credential import Fingerprint
from scanner.log_context import about
from scanner.models import Cluster, Namespace, Scan, hold_little, refresh_statistics
from scanner.recording import NAME_LIMIT, close_namespace, mark_gone, record
from scanner.scan.access import note_access, stored_kubeconfig
from scanner.scan.selecting import invalid_selector, is_selected, names_of
from scanner.scan.stored_elsewhere import StoredElsewhere
from scanner.storable import storable_text
from scanner.verdict import Verdict, judge_all

__all__ = [
    "LeaseLost",
    "StoredElsewhere",
    "connect",
    "fingerprint",
    "invalid_selector",
    "is_selected",
    "request_cluster_scan",
    "request_scan",
    "scan_cluster",
    "scan_namespace",
    "tell_dispatcher",
]

log = logging.getLogger(__name__)

#: Seconds that a page waits for each answer of the broker.
TELL_TIMEOUT: Final = 0.7

#: Of the words of one Namespace in the row of the whole scan, whose column takes 1000 characters.
ERROR_LIMIT: Final = 900

#: Seconds between two rows of progress, which pages show and which keep the lease.
TELL_EVERY: Final = 0.5


class LeaseLost(Exception):
    """This scan was silent for so long that another one took its cluster over."""


def fingerprint() -> Fingerprint:
    """Keyed with this installation's own key."""
    return Fingerprint(settings.FINGERPRINT_KEY.encode())


@sensitive_variables()
def connect(
    cluster: Cluster, *, kubeconfig: str = "", connect_timeout: float = 5, read_timeout: float | None = None
) -> api.Cluster:
    """With the kubeconfig that is stored for `cluster`, else the one in files, else as the Pod we run in; `kubeconfig`
    is the text of one to use in place of all of these. Times are seconds of each request; `read_timeout` is
    `settings.API_TIMEOUT` unless given.

    Raises `cluster.BadConfiguration` when the kubeconfig of `cluster` is no use.
    """
    times = {
        "connect_timeout": connect_timeout,
        "read_timeout": settings.API_TIMEOUT if read_timeout is None else read_timeout,
    }
    text = kubeconfig or stored_kubeconfig(cluster)
    if text:
        return api.Cluster.from_kubeconfig_text(text, cluster.context or None, **times)
    return api.Cluster.from_kubeconfig(cluster.kubeconfig or None, cluster.context or None, **times)


def scan_cluster(cluster: Cluster) -> Scan | None:
    """Scan all of `cluster` with cluster-wide lists; None when someone else is at it.

    Where such a list is forbidden the Namespaces become due one by one instead (`mode` "namespaces"), the scan goes on
    until the last of them was scanned, and the caller has them dispatched.
    """
    if not cluster.take_lease(now=timezone.now(), seconds=settings.SCAN_LEASE):
        cluster.retry_when_free()
        return None
    # Not before: the scan that had the lease may have gone on meanwhile.
    started_at = timezone.now()
    scan = Scan(cluster=cluster, started_at=started_at)
    try:
        hold_little()
        silent_since = started_at - timedelta(seconds=settings.SCAN_LEASE)
        Scan.objects.interrupt(cluster, now=started_at, silent_since=silent_since)
        Scan.objects.set_back(cluster, now=started_at)
        scan.save()
        with about("scan_id", scan.pk), _failing(scan), fewer_collections(), connect(cluster) as connection:
            try:
                _scan_wide(scan, connection)
            except api.ClusterWideForbidden as refusal:
                _hand_out(scan, connection, refusal)
            except api.Invalid as error:
                # What a scan asks is always valid but for the one part that people write.
                if not cluster.label_selector:
                    raise
                raise invalid_selector(cluster.label_selector, str(error)) from None
            note_access(cluster)
        Scan.objects.prune(cluster, before=started_at - timedelta(days=settings.SCAN_RETENTION))
        refresh_statistics()
        return scan
    finally:
        if scan.mode == "cluster" or scan.state != Scan.State.RUNNING:
            cluster.end_lease()


def _scan_wide(scan: Scan, connection: api.Cluster) -> None:
    cluster, progress = scan.cluster, _Progress(scan)
    objects = connection.namespaces(
        include=cluster.include, exclude=cluster.exclude, label_selector=cluster.label_selector, progress=progress
    )
    verdicts = judge_all(objects, policy=settings.POLICY, now=scan.started_at, fingerprint=fingerprint())
    stored = 0
    for batch in record(cluster, verdicts, now=scan.started_at):
        stored += len(batch)
        _count(scan, batch)
        progress.tell()
    progress.tell(at_once=True)
    mark_gone(cluster, unseen_since=scan.started_at, now=scan.started_at)
    # While it is read, all listed Namespaces count; in the end those that `include` and `exclude` left.
    scan.namespaces_done = scan.namespaces_total = stored
    _finish(scan)


class _Progress:
    """Tells in the row of a running scan how far it is, and keeps its lease.

    Raises LeaseLost when someone else scans the cluster by now.
    """

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._told_at = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        self._scan.namespaces_done, self._scan.namespaces_total = done, total
        self.tell()

    def tell(self, *, at_once: bool = False) -> None:
        clock = time.monotonic()
        if not at_once and clock - self._told_at < TELL_EVERY:
            return
        self._told_at = clock
        if not self._scan.cluster.extend_lease(now=timezone.now(), seconds=settings.SCAN_LEASE):
            raise LeaseLost
        _save_running(self._scan)


_PROGRESS: Final = ("namespaces_done", "namespaces_total", *Status)
_OUTCOME: Final = ("state", "mode", "finished_at", "error_kind", "error", "remedy")


def _save_running(scan: Scan) -> None:
    """Write what a scan knows about itself, unless somebody ended it meanwhile: then raises LeaseLost."""
    values = {name: getattr(scan, name) for name in (*_PROGRESS, *_OUTCOME)}
    if not Scan.objects.filter(pk=scan.pk, state=Scan.State.RUNNING).update(**values):
        raise LeaseLost


def _hand_out(scan: Scan, connection: api.Cluster, refusal: api.ClusterWideForbidden) -> None:
    """Make every Namespace of the cluster due for a scan of its own."""
    cluster, now = scan.cluster, scan.started_at
    found = (storable_text(name, NAME_LIMIT) for name in names_of(cluster, connection, refusal))
    names = [name for name in found if is_selected(name, cluster.include, cluster.exclude)]
    scan.mode = "namespaces"
    scan.namespaces_total = len(names)
    # Before any of them is due, or one could report back to a scan that does not wait for it yet.
    _save_running(scan)
    with transaction.atomic():
        Namespace.objects.bulk_create((Namespace(cluster=cluster, name=name) for name in names), ignore_conflicts=True)
        for start in range(0, len(names), 500):
            chunk = Namespace.objects.filter(cluster=cluster, name__in=names[start : start + 500])
            chunk.update(next_scan_at=now, handed_out_by=scan, gone_at=None)
    listed = set(names)
    for gone in Namespace.objects.filter(cluster=cluster, gone_at=None).iterator():
        if gone.name not in listed:
            close_namespace(gone, now=now)
    if not names:
        _finish(scan)


def scan_namespace(namespace: Namespace) -> Scan:
    """Scan one Namespace, as `scan_cluster` would."""
    cluster, started_at = namespace.cluster, timezone.now()
    scan = Scan.objects.create(cluster=cluster, namespace=namespace.name, started_at=started_at, namespaces_total=1)
    try:
        with about("scan_id", scan.pk), _failing(scan), connect(cluster) as connection:
            try:
                objects: list[raw.NamespaceObjects] = [connection.namespace(namespace.name)]
            except api.NotFound:
                close_namespace(namespace, now=started_at)
                objects = []
            elsewhere = StoredElsewhere(cluster)
            verdicts = judge_all(
                objects, policy=settings.POLICY, now=started_at, fingerprint=fingerprint(), elsewhere=elsewhere
            )
            for batch in record(cluster, verdicts, now=started_at):
                _count(scan, batch)
            scan.namespaces_done = 1
            _finish(scan)
        # One row tells all there is to tell about scans of this Namespace; each of thousands has one every minute.
        older = Scan.objects.filter(cluster=cluster, namespace=namespace.name, pk__lt=scan.pk)
        older.exclude(state=Scan.State.RUNNING).delete()
    finally:
        _report_back(namespace, scan)
    return scan


def _report_back(namespace: Namespace, scan: Scan) -> None:
    """Count a scanned Namespace in the cluster's scan that handed it out; the last one finishes that scan.

    That scan says of the last Namespace that failed why it did; when all of them failed, it did.
    """
    parent = namespace.report_back()
    if parent is None:
        return
    cluster, now = namespace.cluster, timezone.now()
    running = Scan.objects.filter(pk=parent.pk, state=Scan.State.RUNNING)
    counts = {status.value: F(status.value) + getattr(scan, status) for status in Status}
    if scan.state == Scan.State.DONE:
        running.update(namespaces_done=F("namespaces_done") + 1, **counts)
    else:
        running.update(
            namespaces_done=F("namespaces_done") + 1,
            failed_namespaces=F("failed_namespaces") + 1,
            error_kind=scan.error_kind,
            error=storable_text(f"Namespace {namespace.name}: {scan.error}", ERROR_LIMIT),
            remedy=scan.remedy,
        )
    # While Namespaces report back their cluster counts as being scanned.
    leased = Cluster.objects.filter(pk=cluster.pk, lease_until__gt=now)
    ended = running.filter(namespaces_done__gte=F("namespaces_total"))
    if ended.filter(failed_namespaces__gte=F("namespaces_total")).update(
        state=Scan.State.FAILED, finished_at=now, error=Concat(Value("No Namespace could be scanned. "), "error")
    ) or ended.update(state=Scan.State.DONE, finished_at=now):
        leased.update(lease_until=None)
    else:
        leased.update(lease_until=now + timedelta(seconds=settings.SCAN_LEASE))


def _count(scan: Scan, batch: list[Verdict]) -> None:
    for status, count in Counter(verdict.status for verdict in batch).items():
        setattr(scan, status, getattr(scan, status) + count)


def _finish(scan: Scan) -> None:
    scan.state = Scan.State.DONE
    scan.finished_at = timezone.now()
    _save_running(scan)


@contextmanager
def _failing(scan: Scan) -> Iterator[None]:
    """A `ClusterError` becomes the outcome of `scan`; anything else is a bug: it is recorded as such and raised."""
    try:
        yield
    except LeaseLost:
        # Whoever took over has ended our row.
        scan.refresh_from_db()
        log.warning("The scan of %s took too long between two answers; another worker went on", scan.cluster)
    except api.ClusterError as error:
        _fail(scan, type(error).__name__, str(error), error.remedy)
        log.warning("Scan of %s failed: %s", _scope(scan), error)
    except Exception as error:
        # The text of an unforeseen exception may quote what it choked on, so only its type is kept.
        kind = type(error).__name__
        _fail(scan, kind, f"Credboard failed ({kind}). The log of the worker has more.", "")
        raise


def _scope(scan: Scan) -> str:
    return f"{scan.cluster}, Namespace {scan.namespace}" if scan.namespace else str(scan.cluster)


def _fail(scan: Scan, kind: str, message: str, remedy: str) -> None:
    scan.state = Scan.State.FAILED
    scan.finished_at = timezone.now()
    scan.error_kind = kind
    scan.error = storable_text(message, 1000)
    scan.remedy = storable_text(remedy, 2000)
    values = {name: getattr(scan, name) for name in (*_PROGRESS, *_OUTCOME)}
    Scan.objects.filter(pk=scan.pk, state=Scan.State.RUNNING).update(**values)


def request_scan(namespace: Namespace, *, now: datetime | None = None) -> bool:
    """Have `namespace` scanned as soon as possible. True when a worker was told; False when the broker is down, and the
    scan follows once it is back, since the row says that it is due."""
    namespace.next_scan_at = now or timezone.now()
    namespace.save(update_fields=["next_scan_at"])
    return tell_dispatcher()


def request_cluster_scan(cluster: Cluster) -> bool:
    """Have all of `cluster` scanned as soon as possible; answers as `request_scan`."""
    cluster.next_scan_at = timezone.now()
    cluster.save(update_fields=["next_scan_at"])
    return tell_dispatcher()


def tell_dispatcher() -> bool:
    """Have a worker look for what is due now rather than in a moment. False when the broker is down."""
    try:
        # Not one of the pool: people wait for this page, and workers for their broker much longer.
        with current_app.connection_for_write(connect_timeout=TELL_TIMEOUT) as connection:
            impatient = {"socket_connect_timeout": TELL_TIMEOUT, "socket_timeout": TELL_TIMEOUT}
            connection.transport_options = {**(connection.transport_options or {}), **impatient}
            # By name: the tasks are the layer above.
            current_app.send_task("scanner.tasks.dispatch_scans", connection=connection)
    except (BrokerError, OSError) as error:
        log.warning("The broker is down (%s); the scan follows when it is back", type(error).__name__)
        return False
    return True
