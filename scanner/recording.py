"""Storing what a scan found: open, refresh and resolve Findings; replace Cells; keep the rest untouched.

An upsert throughout, in transactions of one batch of namespaces: running it twice changes nothing, and a worker that
is killed leaves whole batches behind. A namespace whose verdict is the same as last time costs one row of two bulk
UPDATEs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from django.db import models, transaction
from django.utils import timezone

from scanner.check import Result, Status, rank
from scanner.models import NO_CELL, Cell, Cluster, Credential, Finding, Namespace, NamespaceOwner, Scan, Transition
from scanner.snapshot import Owner
from scanner.storable import cleaned, encoder, fill, storable_text
from scanner.verdict import Cell as CellVerdict
from scanner.verdict import Verdict

BATCH: Final = 200

#: Without these a cell cannot be judged, so its absence from a verdict means nothing.
ESSENTIAL: Final = frozenset({"secrets", "pods", "serviceaccounts"})

#: Raise it when rows are filled in another way: then every namespace is written anew once, whatever its digest.
_LAYOUT: Final = 2
M = TypeVar("M", bound=models.Model)


NAME_LIMIT: Final = 253
COLUMN_LIMIT: Final = 320


class _Changed(NamedTuple):
    row: Namespace
    verdict: Verdict
    digest: str


FindingKey = tuple[str, str, str]


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
    gone = Namespace.objects.filter(cluster=cluster, gone_at=None).exclude(scanned_at__gte=unseen_since)
    return _close(list(gone.values_list("pk", flat=True)), now=now)


def close_namespace(namespace: Namespace, *, now: datetime) -> None:
    """A Namespace that the API says is not there: resolve its findings, drop its cells, keep the row."""
    _close([namespace.pk], now=now)


def _close(pks: list[int], *, now: datetime) -> int:
    for chunk in _chunks(pks):
        with transaction.atomic():
            _lock(Namespace.objects.filter(pk__in=chunk))
            Finding.objects.filter(namespace__in=chunk, resolved_at=None).update(resolved_at=now)
            cells = Cell.objects.filter(namespace__in=chunk)
            _record_transitions(((cell, _state(cell), _GONE) for cell in cells.exclude(status=Status.OK)), now=now)
            cells.delete()
            Namespace.objects.filter(pk__in=chunk).update(gone_at=now, digest="", next_scan_at=None)
    return len(pks)


def _lock(rows: models.QuerySet[Namespace]) -> list[Namespace]:
    """Whoever writes about a namespace holds its row, and takes rows in this order: so two scans wait for each other
    instead of both opening the same finding. (SQLite has one writer anyway.)"""
    return list(rows.select_for_update().order_by("pk"))


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
    changed: list[_Changed] = []
    same: list[int] = []
    for name, row in rows.items():
        if row.scanned_at is not None and now < row.scanned_at <= present:
            continue
        digest = _digest(told[name])
        if row.digest == digest and row.gone_at is None:
            same.append(row.pk)
        else:
            changed.append(_Changed(row, told[name], digest))
    if same:
        # Seen again are those that were seen last time; others stand because their check could not be asked.
        seen = Finding.objects.filter(last_seen_at=models.F("namespace__scanned_at"))
        seen.filter(namespace__in=same, resolved_at=None).update(last_seen_at=now)
        Namespace.objects.filter(pk__in=same).update(scanned_at=now)
    if changed:
        _add_columns(cluster, changed, columns)
        standing = _record_findings(changed, now=now)
        is_known = Scan.objects.of_whole_cluster().filter(cluster=cluster, state=Scan.State.DONE).exists()
        _record_cells(changed, columns, standing, is_known=is_known, now=now)
        _record_owners(changed)
        _record_namespaces(changed, now=now)


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


def _add_columns(cluster: Cluster, changed: list[_Changed], columns: dict[str, Credential]) -> None:
    wanted = {slug for one in changed for slug in _cells(one.verdict)} - columns.keys()
    if wanted:
        Credential.objects.bulk_create(
            (Credential(cluster=cluster, slug=slug) for slug in sorted(wanted)), ignore_conflicts=True
        )
        for chunk in _chunks(sorted(wanted)):
            for credential in Credential.objects.filter(cluster=cluster, slug__in=chunk):
                columns[credential.slug] = credential


def _cells(verdict: Verdict) -> dict[str, CellVerdict]:
    """Cells by what their column is called in the database; of two that are called the same there, the worst."""
    return {storable_text(cell.credential, COLUMN_LIMIT): cell for cell in sorted(verdict.cells, key=_rank)}


def _findings(verdict: Verdict) -> dict[FindingKey, Result]:
    """Findings by what tells them apart in the database; of those that are the same there, the worst."""
    return {
        (one.code, storable_text(one.object, COLUMN_LIMIT), storable_text(one.credential, COLUMN_LIMIT)): one
        for one in sorted(verdict.findings, key=_rank)
    }


def _rank(one: CellVerdict | Result) -> int:
    return rank(one.status)


def _record_findings(changed: list[_Changed], *, now: datetime) -> set[tuple[int, str]]:
    """Returns (pk of the namespace, credential) of the findings that stand because their check was not asked."""
    open_rows: dict[tuple[int, FindingKey], Finding] = {
        (finding.namespace_id, (finding.code, finding.object, finding.credential)): finding
        for finding in Finding.objects.filter(namespace__in=[one.row for one in changed], resolved_at=None)
    }
    new: list[Finding] = []
    kept: list[Finding] = []
    for row, verdict, _ in changed:
        for key, result in _findings(verdict).items():
            finding = open_rows.pop((row.pk, key), None)
            if finding is None:
                finding = Finding(namespace=row, code=key[0], object=key[1], credential=key[2], first_seen_at=now)
                new.append(finding)
            else:
                kept.append(finding)
            fill(
                finding,
                status=result.status,
                rank=rank(result.status),
                reason=result.reason,
                message=result.message,
                expires_at=result.expires_at,
                details=result.details,
                last_seen_at=now,
            )
    unasked = {one.row.pk: one.verdict.unasked for one in changed}
    standing = {key for key, finding in open_rows.items() if finding.code in unasked[finding.namespace_id]}
    _save(Finding, new, kept, _FINDING_FIELDS)
    for chunk in _chunks([finding.pk for key, finding in open_rows.items() if key not in standing]):
        Finding.objects.filter(pk__in=chunk).update(resolved_at=now)
    return {(namespace_id, credential) for namespace_id, (_, _, credential) in standing}


_FINDING_FIELDS: Final = ("status", "rank", "reason", "message", "expires_at", "details", "last_seen_at")


def _record_cells(
    changed: list[_Changed],
    columns: Mapping[str, Credential],
    standing: set[tuple[int, str]],
    *,
    is_known: bool,
    now: datetime,
) -> None:
    """`is_known`: the cluster was scanned before, so a Namespace that never was is news."""
    rows = Cell.objects.filter(namespace__in=[one.row for one in changed]).select_related("credential")
    present = {(cell.namespace_id, cell.credential.slug): cell for cell in rows}
    new: list[Cell] = []
    kept: list[Cell] = []
    states: list[tuple[Cell, _State, _State]] = []
    for row, verdict, _ in changed:
        is_news = is_known or row.scanned_at is not None
        for slug, told in _cells(verdict).items():
            cell = present.pop((row.pk, slug), None)
            if cell is None:
                before = _GONE
                cell = Cell(namespace=row, credential=columns[slug], since=now)
                new.append(cell)
            else:
                before = _state(cell)
                kept.append(cell)
            _fill_cell(cell, told, now=now)
            if is_news:
                states.append((cell, before, _state(cell)))
    # Where something could not be read or asked, a cell that the verdict does not speak of is not known to be gone.
    unseen = {one.row.pk for one in changed if not one.verdict.snapshot.unreadable.keys().isdisjoint(ESSENTIAL)}
    gone: list[int] = []
    for (namespace_id, slug), cell in present.items():
        before = _state(cell)
        if namespace_id in unseen or (namespace_id, slug) in standing:
            _judge(cell, Status.UNKNOWN, "not-checked", now=now)
            kept.append(cell)
            states.append((cell, before, _state(cell)))
        else:
            gone.append(cell.pk)
            states.append((cell, before, _GONE))
    _save(Cell, new, kept, _CELL_FIELDS)
    _record_transitions(states, now=now)
    for chunk in _chunks(gone):
        Cell.objects.filter(pk__in=chunk).delete()


_State = tuple[str, str]
_GONE: Final[_State] = (NO_CELL, "")


def _state(cell: Cell) -> _State:
    return cell.status, cell.reason


def _record_transitions(states: Iterable[tuple[Cell, _State, _State]], *, now: datetime) -> None:
    """Store which of the cells have another state after than before. One that comes or goes while it is well is not
    among them: Pods do so all day."""
    Transition.objects.bulk_create(
        (
            Transition(
                namespace_id=cell.namespace_id,
                credential_id=cell.credential_id,
                at=now,
                status_before=before[0],
                reason_before=before[1],
                status_after=after[0],
                reason_after=after[1],
            )
            for cell, before, after in states
            if before != after and not {before[0], after[0]} <= {NO_CELL, Status.OK}
        ),
        batch_size=500,
    )


_CELL_FIELDS: Final = (
    "status", "rank", "reason", "since", "expires_at", "expiry_source", "verified", "secret", "pod_count", "details",
)  # fmt: skip


def _judge(cell: Cell, status: Status, reason: str, *, now: datetime) -> None:
    if (cell.status, cell.reason) != (status, reason):
        cell.since = now
    fill(cell, status=status, rank=rank(status), reason=reason)


def _fill_cell(cell: Cell, told: CellVerdict, *, now: datetime) -> None:
    _judge(cell, told.status, told.reason, now=now)
    fill(
        cell,
        expires_at=told.expires_at,
        expiry_source=told.expiry_source,
        verified=told.verified,
        secret=told.secret,
        pod_count=told.pod_count,
        details={**told.details, "pods": told.pods, "chain": told.chain},
    )


def _record_owners(changed: list[_Changed]) -> None:
    present = {
        (owner.namespace_id, owner.kind, owner.name): owner
        for owner in NamespaceOwner.objects.filter(namespace__in=[one.row for one in changed])
    }
    standing = _standing_owners(changed, list(present.values()))
    wanted: dict[tuple[int, str, str], NamespaceOwner] = {
        (row.pk, owner.kind, owner.name): NamespaceOwner(
            namespace=row, kind=owner.kind, name=owner.name, source=owner.source
        )
        for row, verdict, _ in changed
        for owner in reversed(verdict.snapshot.owners)
        # A name that cannot be kept as it is must not become another one: it says who may see the namespace.
        if storable_text(owner.name, NAME_LIMIT) == owner.name and not _is_doubtful(row, owner, standing)
    }
    wanted |= {key: present[key] for key in standing}
    stale = {owner.pk for key, owner in present.items() if key not in wanted or wanted[key].source != owner.source}
    for chunk in _chunks(sorted(stale)):
        NamespaceOwner.objects.filter(pk__in=chunk).delete()
    kept = {key for key, owner in present.items() if owner.pk not in stale}
    NamespaceOwner.objects.bulk_create((o for key, o in wanted.items() if key not in kept), batch_size=500)


def _standing_owners(changed: list[_Changed], present: list[NamespaceOwner]) -> set[tuple[int, str, str]]:
    """(pk of the namespace, kind, name) of the owners stored from a source that could not be read this time.

    One failed list would otherwise hide namespaces from whose they are. Only in the very namespace that was seen, not
    in another of its name. The annotation by which Kubeflow repeats a Profile's owner stands for the Profile, but does
    not tell a group from a user: so what is stored under that name stands, and other names do not.
    """
    by_namespace = {one.row.pk: one for one in changed}
    standing = set()
    for owner in present:
        row, verdict, _ = by_namespace[owner.namespace_id]
        snapshot = verdict.snapshot
        if row.gone_at is not None or (row.uid and snapshot.uid and row.uid != snapshot.uid):
            continue
        unread = not _OWNER_SOURCES[owner.source].isdisjoint(snapshot.unreadable)
        if unread and owner.source == "profile":
            told = {one.name for one in snapshot.owners if one.source == "profile"}
            unread = not told or ("profiles" in snapshot.unreadable and owner.name in told)
        if unread:
            standing.add((owner.namespace_id, owner.kind, owner.name))
    return standing


def _is_doubtful(row: Namespace, owner: Owner, standing: set[tuple[int, str, str]]) -> bool:
    """Whether `owner` is stored already, or is only what the annotation makes of a group that is."""
    is_named_group = owner.source == "profile" and (row.pk, "group", owner.name) in standing
    return is_named_group or (row.pk, owner.kind, owner.name) in standing


#: Source of an owner -> what has to be read for it.
_OWNER_SOURCES: Final = {
    "profile": frozenset({"profiles", "namespaces"}),
    "annotation": frozenset({"namespaces"}),
    "rolebinding": frozenset({"rolebindings"}),
}


def _record_namespaces(changed: list[_Changed], *, now: datetime) -> None:
    for row, verdict, digest in changed:
        snapshot = verdict.snapshot
        fill(
            row,
            status=verdict.status,
            rank=rank(verdict.status),
            reason=verdict.reason,
            critical_cells=sum(cell.status is Status.CRITICAL for cell in _cells(verdict).values()),
            unreadable=snapshot.unreadable,
            unasked=verdict.unasked,
            digest=digest,
            scanned_at=now,
            gone_at=None,
        )
        # What could not be read is not known to be gone.
        if "namespaces" not in snapshot.unreadable:
            fill(row, uid=snapshot.uid, labels=snapshot.labels)
        if "secrets" not in snapshot.unreadable:
            fill(row, pull_secrets=snapshot.pull_secret_keys(), fingerprints=snapshot.fingerprints())
        if "serviceaccounts" not in snapshot.unreadable:
            fill(row, service_accounts=sorted(snapshot.service_accounts))
    _save(Namespace, [], [one.row for one in changed], _NAMESPACE_FIELDS)


_NAMESPACE_FIELDS: Final = (
    "uid", "labels", "status", "rank", "reason", "critical_cells", "unreadable", "unasked", "pull_secrets",
    "fingerprints", "service_accounts", "digest", "scanned_at", "gone_at",
)  # fmt: skip


def _save(model: type[M], new: list[M], kept: list[M], fields: Sequence[str]) -> None:
    """Insert `new` rows and write `fields` of those that were `kept`: by INSERT … ON CONFLICT, for which the database
    reads values, where `bulk_update` would have it parse a CASE with a branch for each row."""
    rows: Any = model._default_manager
    rows.bulk_create(new, batch_size=500)
    rows.bulk_create(kept, batch_size=500, update_conflicts=True, unique_fields=["pk"], update_fields=fields)


T = TypeVar("T")


def _chunks(values: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]
