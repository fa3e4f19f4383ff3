"""Storing what a scan found: open, refresh and resolve Findings; replace Cells; keep the rest untouched.

An upsert throughout, in transactions of one batch of namespaces: running it twice changes nothing, and a worker that
is killed leaves whole batches behind. A namespace whose verdict is the same as last time costs one row of two bulk
UPDATEs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from scanner.check import Status, rank
from scanner.models import Cell, Cluster, Credential, Finding, Namespace, Scan
from scanner.recording.cells import GONE, add_columns, cells_of, record_cells, record_transitions, state_of
from scanner.recording.findings import record_findings
from scanner.recording.owners import record_owners
from scanner.recording.rows import NAME_LIMIT, Changed, chunks, save
from scanner.storable import cleaned, encoder, fill, storable_text
from scanner.verdict import Verdict

__all__ = ["BATCH", "NAME_LIMIT", "close_namespace", "mark_gone", "record"]

#: Namespaces of one transaction. While one is written no page is taken from the lists, and the API server idles as soon
#: as the next ones are there: so it must not take longer than a page. Few also hold less in memory.
BATCH: Final = 50

#: Raise it when rows are filled in another way: then every namespace is written anew once, whatever its digest.
_LAYOUT: Final = 2
#: Characters of the column.
UID_LIMIT: Final = 64


def record(cluster: Cluster, verdicts: Iterable[Verdict], *, now: datetime) -> Iterator[list[Verdict]]:
    """Store `verdicts` of the scan that began at `now` in batches, each in one transaction; yield every batch once it
    is stored.

    Nothing is stored before the caller asks for the next batch, so progress can be reported in between. A namespace
    that a scan which began later has stored already is left as it is.
    """
    columns = {credential.slug: credential for credential in Credential.objects.filter(cluster=cluster)}
    stream = iter(verdicts)
    while batch := list(islice(stream, BATCH)):
        with transaction.atomic():
            _record_batch(cluster, batch, columns, now=now)
        yield batch


def mark_gone(cluster: Cluster, *, unseen_since: datetime, now: datetime) -> int:
    """After a complete scan of `cluster`: close the Namespaces it did not see. Returns how many."""
    # A time to come is a clock that went wrong, as in `_record_batch`.
    seen = Q(scanned_at__gte=unseen_since, scanned_at__lte=timezone.now())
    gone = Namespace.objects.filter(cluster=cluster, gone_at=None).exclude(seen)
    return _close(list(gone.values_list("pk", flat=True)), now=now)


def close_namespace(namespace: Namespace, *, now: datetime) -> None:
    """A Namespace that the API says is not there: resolve its findings, drop its cells, keep the row."""
    _close([namespace.pk], now=now)


def _close(pks: list[int], *, now: datetime) -> int:
    for chunk in chunks(pks):
        with transaction.atomic():
            _lock(Namespace.objects.filter(pk__in=chunk))
            Finding.objects.filter(namespace__in=chunk, resolved_at=None).update(resolved_at=now)
            cells = Cell.objects.filter(namespace__in=chunk)
            record_transitions(((cell, state_of(cell), GONE) for cell in cells.exclude(status=Status.OK)), now=now)
            cells.delete()
            Namespace.objects.filter(pk__in=chunk).update(gone_at=now, digest="", next_scan_at=None)
    return len(pks)


class _Known(NamedTuple):
    """What has to be known of a stored namespace to see whether its verdict is a new one: not its six JSON columns."""

    pk: int
    name: str
    uid: str
    digest: str
    scanned_at: datetime | None
    gone_at: datetime | None


def _lock(rows: models.QuerySet[Namespace]) -> list[_Known]:
    """Whoever writes about a namespace holds its row, and takes rows in this order: so two scans wait for each other
    instead of both opening the same finding. (SQLite has one writer anyway.)"""
    return [_Known(*row) for row in rows.select_for_update().order_by("pk").values_list(*_Known._fields)]


def _record_batch(cluster: Cluster, batch: list[Verdict], columns: dict[str, Credential], *, now: datetime) -> None:
    told = {storable_text(verdict.snapshot.name, NAME_LIMIT): verdict for verdict in batch}
    rows = {row.name: row for row in _lock(Namespace.objects.filter(cluster=cluster, name__in=told))}
    if missing := sorted(told.keys() - rows.keys()):
        Namespace.objects.bulk_create(
            (Namespace(cluster=cluster, name=name) for name in missing), ignore_conflicts=True
        )
        rows |= {row.name: row for row in _lock(Namespace.objects.filter(cluster=cluster, name__in=missing))}
    # A scan of this one Namespace began after ours and is done. (A time to come is a clock that went wrong.)
    present = timezone.now()
    different: dict[int, str] = {}
    same: list[int] = []
    begun, replaced = set[int](), list[int]()
    for name, row in rows.items():
        if row.scanned_at is not None and now < row.scanned_at <= present:
            continue
        digest = _digest(told[name])
        if row.digest == digest and row.gone_at is None:
            same.append(row.pk)
        else:
            different[row.pk] = digest
            uid = storable_text(told[name].snapshot.uid, UID_LIMIT)
            is_another = bool(uid and row.uid and uid != row.uid)
            if row.scanned_at is None or is_another:
                begun.add(row.pk)
            if is_another and row.gone_at is None:
                replaced.append(row.pk)
    # Deleted and made anew between two scans: what people knew of the one that is gone says nothing about this one. It
    # ended before this one began.
    _close(replaced, now=now - timedelta(microseconds=1))
    whole = Namespace.objects.filter(pk__in=different).order_by("pk") if different else ()
    changed = [Changed(row, told[row.name], different[row.pk]) for row in whole]
    if same:
        # Seen again are those that were seen last time; others stand because their check could not be asked.
        seen = Finding.objects.filter(last_seen_at=models.F("namespace__scanned_at"))
        seen.filter(namespace__in=same, resolved_at=None).update(last_seen_at=now)
        Namespace.objects.filter(pk__in=same).update(scanned_at=now)
    if changed:
        add_columns(cluster, changed, columns)
        standing = record_findings(changed, now=now)
        is_known = Scan.objects.of_whole_cluster().filter(cluster=cluster, state=Scan.State.DONE).exists()
        record_cells(changed, columns, standing, is_known=is_known, now=now)
        record_owners(changed)
        _record_namespaces(changed, begun, now=now)


def _digest(verdict: Verdict) -> str:
    """Hash of everything that would be stored of `verdict`."""
    snapshot = verdict.snapshot
    stored = (
        _LAYOUT,
        snapshot.uid,
        snapshot.labels,
        snapshot.owners,
        sorted(snapshot.service_accounts),
        snapshot.pull_secret_keys(),
        snapshot.fingerprints(),
        snapshot.unreadable,
        verdict.unasked,
        verdict.status,
        verdict.reason,
        verdict.cells,
        verdict.findings,
    )
    try:
        encoded = encoder.encode(stored)
    except UnicodeEncodeError:
        encoded = encoder.encode(cleaned(stored))
    return hashlib.blake2b(encoded, digest_size=24).hexdigest()


def _record_namespaces(changed: list[Changed], begun: set[int], *, now: datetime) -> None:
    for row, verdict, digest in changed:
        snapshot = verdict.snapshot
        fill(
            row,
            status=verdict.status,
            rank=rank(verdict.status),
            reason=verdict.reason,
            critical_cells=sum(cell.status is Status.CRITICAL for cell in cells_of(verdict).values()),
            unreadable=snapshot.unreadable,
            unasked=verdict.unasked,
            digest=digest,
            scanned_at=now,
            gone_at=None,
        )
        if row.pk in begun:
            row.began_at = now
        # What could not be read is not known to be gone.
        if "namespaces" not in snapshot.unreadable:
            fill(row, uid=snapshot.uid, labels=snapshot.labels)
        if "secrets" not in snapshot.unreadable:
            fill(row, pull_secrets=snapshot.pull_secret_keys(), fingerprints=snapshot.fingerprints())
        if "serviceaccounts" not in snapshot.unreadable:
            fill(row, service_accounts=sorted(snapshot.service_accounts))
    save(Namespace, [], [one.row for one in changed], _NAMESPACE_FIELDS)


_NAMESPACE_FIELDS: Final = (
    "uid", "labels", "status", "rank", "reason", "critical_cells", "unreadable", "unasked", "pull_secrets",
    "fingerprints", "service_accounts", "digest", "scanned_at", "gone_at", "began_at",
)  # fmt: skip
