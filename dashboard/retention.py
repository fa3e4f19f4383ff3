"""What is forgotten, and when: `manage.py prune`, and a task of every night.

Rows go in transactions of `BATCH` of them, each taken by its key, so that no writer waits long and a run that is killed
has done what it had done. What a batch deletes is asked for again in the moment it is deleted: what came back to life
in between stays. Two runs at once share the work. Nothing that is open is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Subquery

from dashboard.models import FAILURE_WINDOW, Acknowledgement, AlertMessage, FailedSignIn, Mail
from scanner.models import AuditEntry, Cluster, Finding, Namespace, NamespaceOwner, Scan, Transition

BATCH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rows of one kind that are to go. `setting` is what says how long they are kept; "" for what says so itself."""

    what: str
    setting: str
    rows: QuerySet[Any]


def rules(*, now: datetime) -> Iterator[Rule]:
    """Everything that is forgotten at `now`, in this order: what belongs to a Namespace before the Namespace itself, so
    that no batch takes more along than it names."""

    def before(setting: str) -> datetime:
        return now - timedelta(days=getattr(settings, setting))

    history, gone = before("HISTORY_RETENTION"), before("GONE_RETENTION")
    forgotten = Namespace.objects.filter(gone_at__lt=gone)
    of_forgotten = Q(namespace__in=forgotten.values("pk"))
    yield _rule("scans", "SCAN", _scans(before("SCAN_RETENTION")))
    yield _rule("changes of cells", "HISTORY", Transition.objects.filter(Q(at__lt=history) | of_forgotten))
    resolved = Q(resolved_at__lt=history) | Q(resolved_at__isnull=False) & of_forgotten
    yield _rule("resolved findings", "HISTORY", Finding.objects.filter(resolved))
    over = Q(ended_at__lt=history) | Q(until__lt=history) | of_forgotten
    yield _rule("acknowledgements", "HISTORY", Acknowledgement.objects.filter(over))
    # Nobody is shown a Namespace that is gone; its owners would be the most rows that go with it.
    yield _rule("owners", "GONE", NamespaceOwner.objects.filter(of_forgotten))
    # One with an open finding was seen again: a scan is writing it this moment.
    alive = Finding.objects.filter(namespace=OuterRef("pk"), resolved_at=None)
    yield _rule("Namespaces", "GONE", forgotten.exclude(Exists(alive)))
    yield _rule("audit entries", "AUDIT", AuditEntry.objects.filter(at__lt=before("AUDIT_RETENTION")))
    outbox = before("OUTBOX_RETENTION")
    yield _rule("mails", "OUTBOX", Mail.objects.filter(settled_at__lt=outbox).exclude(state__in=_UNSENT_MAIL))
    done = [AlertMessage.State.SENT, AlertMessage.State.GIVEN_UP]
    yield _rule("alerts", "OUTBOX", AlertMessage.objects.filter(state__in=done, sealed_at__lt=outbox))
    yield _rule("failed sign-ins", "", FailedSignIn.objects.filter(at__lt=now - FAILURE_WINDOW))
    yield _rule("sessions", "", Session.objects.filter(expire_date__lt=now))


_UNSENT_MAIL: Final = [Mail.State.QUEUED, Mail.State.SENDING]


def _rule(what: str, setting: str, rows: QuerySet[Any]) -> Rule:
    return Rule(what=what, setting=setting and f"CREDBOARD_{setting}_RETENTION_DAYS", rows=rows)


def _scans(before: datetime) -> QuerySet[Scan]:
    """Those that ended, but for the first and the last good one of each cluster: since when it is watched, and what is
    shown now."""
    own = Scan.objects.of_whole_cluster().filter(cluster=OuterRef("pk"))
    first = own.order_by("started_at", "pk").values("pk")[:1]
    good = own.filter(state=Scan.State.DONE).order_by("-started_at", "-pk").values("pk")[:1]
    pairs = Cluster.objects.annotate(first=Subquery(first), good=Subquery(good)).values_list("first", "good")
    kept = {pk for pair in pairs for pk in pair if pk is not None}
    return Scan.objects.filter(started_at__lt=before).exclude(state=Scan.State.RUNNING).exclude(pk__in=kept)


def prune(*, now: datetime, batch: int = BATCH) -> dict[str, int]:
    """Delete what is too old at `now`; how many rows of each kind that were."""
    deleted: dict[str, int] = {}
    for what, number in batches(now=now, size=batch):
        deleted[what] = deleted.get(what, 0) + number
    return deleted


def batches(*, now: datetime, size: int = BATCH) -> Iterator[tuple[str, int]]:
    """Delete what is too old at `now`; yields what each batch deleted, and how many, once that is committed. At least
    one for each kind of rows."""
    for rule in rules(now=now):
        yield from ((rule.what, number) for number in _batches(rule.rows, size))


def count(*, now: datetime) -> dict[str, int]:
    """How many rows of each kind `prune` would delete."""
    return {rule.what: rule.rows.count() for rule in rules(now=now)}


def _batches(rows: QuerySet[Any], size: int) -> Iterator[int]:
    """Delete all `rows`, `size` at a time; yields how many each time."""
    skip = connection.features.has_select_for_update_skip_locked
    last: Any = None
    while True:
        with transaction.atomic():
            later = rows if last is None else rows.filter(pk__gt=last)
            # Whoever else holds a row is deleting it, or writing it: then it is not old.
            keys = list(
                later.order_by("pk")
                .select_for_update(skip_locked=skip, of=("self",) if skip else ())
                .values_list("pk", flat=True)[:size]
            )
            deleted = _delete(rows.filter(pk__in=keys))
        yield deleted
        if len(keys) < size:
            return
        last = keys[-1]


def _delete(rows: QuerySet[Any]) -> int:
    """How many of `rows` were deleted, without what went with them."""
    model: type[Model] = rows.model
    return rows.order_by().delete()[1].get(model._meta.label, 0)
