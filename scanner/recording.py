"""Storing what a scan found: open, refresh and resolve Findings; replace Cells; keep the rest untouched.

An upsert throughout, in transactions of one batch of namespaces: running it twice changes nothing, and a worker that is
killed leaves whole batches behind. A namespace whose verdict is the same as last time costs one row of two bulk UPDATEs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec
from django.db import transaction

from scanner.check import Result, Status, rank
from scanner.models import Cell, Cluster, Credential, Finding, Namespace, NamespaceOwner
from scanner.verdict import Cell as CellVerdict
from scanner.verdict import Verdict

BATCH: Final = 200

#: Without these a cell cannot be judged, so its absence from a verdict means nothing.
ESSENTIAL: Final = frozenset({"secrets", "pods", "serviceaccounts"})

_encoder: Final = msgspec.json.Encoder(order="deterministic")

FindingKey = tuple[str, str, str]


def record(cluster: Cluster, verdicts: Iterable[Verdict], *, now: datetime) -> Iterable[list[Verdict]]:
    """Store `verdicts` in batches, each in one transaction, and yield every batch once it is stored.

    Nothing is stored before the caller asks for the next batch, so progress can be reported in between.
    """
    columns = {credential.slug: credential for credential in Credential.objects.filter(cluster=cluster)}
    stream = iter(verdicts)
    while batch := list(islice(stream, BATCH)):
        with transaction.atomic():
            _record_batch(cluster, batch, columns, now=now)
        yield batch


def mark_gone(cluster: Cluster, *, unseen_since: datetime, now: datetime) -> int:
    """After a complete scan of `cluster`: close the Namespaces it did not see. Returns how many."""
    gone = Namespace.objects.filter(cluster=cluster, gone_at=None).exclude(scanned_at__gte=unseen_since)
    return _close(list(gone.values_list("pk", flat=True)), now=now)


def close_namespace(namespace: Namespace, *, now: datetime) -> None:
    """A Namespace that the API says is not there: resolve its findings, drop its cells, keep the row."""
    _close([namespace.pk], now=now)


def _close(pks: list[int], *, now: datetime) -> int:
    for start in range(0, len(pks), BATCH):
        chunk = pks[start : start + BATCH]
        with transaction.atomic():
            Finding.objects.filter(namespace__in=chunk, resolved_at=None).update(resolved_at=now)
            Cell.objects.filter(namespace__in=chunk).delete()
            Namespace.objects.filter(pk__in=chunk).update(gone_at=now, digest="", next_scan_at=None)
    return len(pks)


def _record_batch(cluster: Cluster, batch: list[Verdict], columns: dict[str, Credential], *, now: datetime) -> None:
    by_name = {verdict.snapshot.name: verdict for verdict in batch}
    rows = {row.name: row for row in Namespace.objects.filter(cluster=cluster, name__in=by_name)}
    missing = [Namespace(cluster=cluster, name=name) for name in by_name if name not in rows]
    for row in Namespace.objects.bulk_create(missing):
        rows[row.name] = row
    digests = {name: _digest(verdict) for name, verdict in by_name.items()}
    same = [row.pk for name, row in rows.items() if row.digest == digests[name] and row.gone_at is None]
    Namespace.objects.filter(pk__in=same).update(scanned_at=now)
    Finding.objects.filter(namespace__in=same, resolved_at=None).update(last_seen_at=now)
    unchanged = frozenset(same)
    changed = [(row, by_name[name], digests[name]) for name, row in rows.items() if row.pk not in unchanged]
    if changed:
        _add_columns(cluster, (verdict for _, verdict, _ in changed), columns)
        _record_cells(changed, columns, now=now)
        _record_findings(changed, now=now)
        _record_owners(changed)
        _record_namespaces(changed, now=now)


def _digest(verdict: Verdict) -> str:
    """Hash of everything that would be stored of `verdict`."""
    snapshot = verdict.snapshot
    stored = (
        snapshot.uid,
        snapshot.labels,
        snapshot.owners,
        sorted(snapshot.service_accounts),
        snapshot.pull_secret_keys(),
        dict(snapshot.unreadable),
        dict(verdict.unasked),
        verdict.status,
        verdict.reason,
        verdict.cells,
        verdict.findings,
    )
    return hashlib.blake2b(_encoder.encode(_plain(stored)), digest_size=24).hexdigest()


def _plain(value: Any) -> Any:
    """`value` as msgspec can encode it: read-only mappings as dicts."""
    return msgspec.to_builtins(value, enc_hook=_mapping)


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a value that a scan stores")


def _add_columns(cluster: Cluster, verdicts: Iterable[Verdict], columns: dict[str, Credential]) -> None:
    wanted = {cell.credential for verdict in verdicts for cell in verdict.cells} - columns.keys()
    if wanted:
        Credential.objects.bulk_create(
            (Credential(cluster=cluster, slug=slug) for slug in sorted(wanted)), ignore_conflicts=True
        )
        for credential in Credential.objects.filter(cluster=cluster, slug__in=wanted):
            columns[credential.slug] = credential


Changed = list[tuple[Namespace, Verdict, str]]


def _record_cells(changed: Changed, columns: Mapping[str, Credential], *, now: datetime) -> None:
    present = {(c.namespace_id, c.credential_id): c for c in Cell.objects.filter(namespace__in=[r for r, _, _ in changed])}
    new: list[Cell] = []
    kept: list[Cell] = []
    for row, verdict, _ in changed:
        for told in verdict.cells:
            column = columns[told.credential]
            cell = present.pop((row.pk, column.pk), None)
            if cell is None:
                cell = Cell(namespace=row, credential=column, since=now)
                new.append(cell)
            else:
                if (cell.status, cell.reason) != (told.status, told.reason):
                    cell.since = now
                kept.append(cell)
            _fill_cell(cell, told)
    # Where something could not be read, a cell that the verdict does not speak of is not known to be gone.
    unseen = {row.pk for row, verdict, _ in changed if not verdict.snapshot.unreadable.keys().isdisjoint(ESSENTIAL)}
    for (namespace_id, _), cell in present.items():
        if namespace_id in unseen:
            if cell.status != Status.UNKNOWN:
                cell.since = now
            cell.status, cell.rank, cell.reason = Status.UNKNOWN, rank(Status.UNKNOWN), "not-checked"
            kept.append(cell)
    Cell.objects.bulk_create(new, batch_size=500)
    Cell.objects.bulk_update(kept, _CELL_FIELDS, batch_size=100)
    Cell.objects.filter(pk__in=[c.pk for (pk, _), c in present.items() if pk not in unseen]).delete()


_CELL_FIELDS: Final = (
    "status", "rank", "reason", "since", "expires_at", "expiry_source", "verified", "secret", "pod_count", "details",
)  # fmt: skip


def _fill_cell(cell: Cell, told: CellVerdict) -> None:
    cell.status = told.status
    cell.rank = rank(told.status)
    cell.reason = told.reason
    cell.expires_at = told.expires_at
    cell.expiry_source = told.expiry_source
    cell.verified = told.verified
    cell.secret = told.secret
    cell.pod_count = told.pod_count
    cell.details = {**_plain(told.details), "chain": _plain(told.chain), "pods": list(told.pods)}


def _record_findings(changed: Changed, *, now: datetime) -> None:
    open_rows: dict[tuple[int, FindingKey], Finding] = {
        (f.namespace_id, (f.code, f.object, f.credential)): f
        for f in Finding.objects.filter(namespace__in=[row for row, _, _ in changed], resolved_at=None)
    }
    new: list[Finding] = []
    kept: list[Finding] = []
    for row, verdict, _ in changed:
        for result in verdict.findings:
            if result.status is Status.UNKNOWN:
                continue
            finding = open_rows.pop((row.pk, (result.code, result.object, result.credential)), None)
            if finding is None:
                finding = Finding(namespace=row, code=result.code, object=result.object, credential=result.credential)
                finding.first_seen_at = now
                new.append(finding)
            else:
                kept.append(finding)
            _fill_finding(finding, result, now=now)
    # A check that could not be asked says nothing about what it found before: those findings stand.
    unasked = {row.pk: verdict.unasked for row, verdict, _ in changed}
    resolved = [f.pk for (pk, (code, *_)), f in open_rows.items() if code not in unasked[pk]]
    Finding.objects.bulk_create(new, batch_size=500)
    Finding.objects.bulk_update(kept, _FINDING_FIELDS, batch_size=100)
    Finding.objects.filter(pk__in=resolved).update(resolved_at=now)


_FINDING_FIELDS: Final = ("status", "rank", "reason", "message", "expires_at", "details", "last_seen_at")


def _fill_finding(finding: Finding, result: Result, *, now: datetime) -> None:
    finding.status = result.status
    finding.rank = rank(result.status)
    finding.reason = result.reason
    finding.message = result.message
    finding.expires_at = result.expires_at
    finding.details = _plain(result.details)
    finding.last_seen_at = now


def _record_owners(changed: Changed) -> None:
    present = {
        (owner.namespace_id, owner.kind, owner.name): owner
        for owner in NamespaceOwner.objects.filter(namespace__in=[row for row, _, _ in changed])
    }
    wanted = {
        (row.pk, owner.kind, owner.name[:253]): NamespaceOwner(
            namespace=row, kind=owner.kind, name=owner.name[:253], source=owner.source
        )
        for row, verdict, _ in changed
        for owner in reversed(verdict.snapshot.owners)
    }
    stale = [o.pk for key, o in present.items() if key not in wanted or wanted[key].source != o.source]
    NamespaceOwner.objects.filter(pk__in=stale).delete()
    kept = {key for key, owner in present.items() if owner.pk not in set(stale)}
    NamespaceOwner.objects.bulk_create((o for key, o in wanted.items() if key not in kept), batch_size=500)


def _record_namespaces(changed: Changed, *, now: datetime) -> None:
    for row, verdict, digest in changed:
        snapshot = verdict.snapshot
        row.uid = snapshot.uid
        row.labels = dict(snapshot.labels)
        row.status = verdict.status
        row.rank = rank(verdict.status)
        row.reason = verdict.reason
        row.critical_cells = sum(cell.status is Status.CRITICAL for cell in verdict.cells)
        row.unreadable = dict(snapshot.unreadable)
        row.unasked = dict(verdict.unasked)
        if "secrets" not in snapshot.unreadable:
            row.pull_secrets = snapshot.pull_secret_keys()
        row.service_accounts = sorted(snapshot.service_accounts)
        row.digest = digest
        row.scanned_at = now
        row.gone_at = None
    Namespace.objects.bulk_update([row for row, _, _ in changed], _NAMESPACE_FIELDS, batch_size=100)


_NAMESPACE_FIELDS: Final = (
    "uid", "labels", "status", "rank", "reason", "critical_cells", "unreadable", "unasked", "pull_secrets",
    "service_accounts", "digest", "scanned_at", "gone_at",
)  # fmt: skip
