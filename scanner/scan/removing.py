"""A cluster is forgotten while scans of it may run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.utils import timezone

from scanner.models import Cluster, Namespace, Scan

log = logging.getLogger(__name__)

#: A scan stores a batch at a time; what it stored while we deleted is deleted the next time.
TRIES: Final = 5


def remove_cluster(cluster: Cluster, *, also: Callable[[], object]) -> None:
    """Forget `cluster` and all that was found in it; `also` is called in the same transaction.

    Scans that run end at their next step, since nothing of it is due or leased any more; what they would store
    meanwhile waits for us, and is refused. Raises IntegrityError or OperationalError when one stored something during
    each of all tries: then the cluster is still there, and not scanned.
    """
    Cluster.objects.keyed(cluster.pk).update(next_scan_at=None, lease_until=None)
    Namespace.objects.filter(cluster=cluster).exclude(next_scan_at=None).update(next_scan_at=None)
    running = Scan.objects.filter(cluster=cluster, state=Scan.State.RUNNING)
    running.update(state=Scan.State.FAILED, finished_at=timezone.now(), error="The cluster is being removed.")
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                _lock(cluster)
                also()
                # With a copy, since deleting takes its key away, which the next try needs.
                Cluster.objects.get(pk=cluster.pk).delete()
            return
        except (IntegrityError, OperationalError):
            if not left:
                raise


def _lock(cluster: Cluster) -> None:
    """Hold back who writes about it. Namespaces first and by their keys, as scans do, which look at the row of the
    cluster in the end; so neither waits for the other in a circle. (SQLite has one writer anyway.)"""
    namespaces = Namespace.objects.filter(cluster=cluster).order_by("pk").select_for_update()
    for _ in namespaces.values_list("pk").iterator():
        pass
    Cluster.objects.select_for_update().get(pk=cluster.pk)


@contextmanager
def unless_removed(cluster: Cluster) -> Iterator[None]:
    """Around a scan of `cluster`: that it cannot be stored is no mistake of ours when somebody removed it meanwhile.
    One that was only put aside is there, and so is the mistake."""
    try:
        yield
    except (DatabaseError, ObjectDoesNotExist) as error:
        if _is_there(cluster):
            raise
        log.info("%s was removed while it was scanned (%s)", cluster, type(error).__name__)


def _is_there(cluster: Cluster) -> bool:
    """Whether `cluster` has a row; one that is being removed this moment is waited for."""
    with transaction.atomic():
        return bool(Cluster.objects.keyed(cluster.pk).select_for_update(no_key=True).values_list("pk"))
