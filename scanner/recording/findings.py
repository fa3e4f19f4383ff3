"""Findings: opened when a check first tells of them, refreshed while it does, resolved when it no longer does."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from scanner.check import Result, rank
from scanner.models import Finding
from scanner.recording.rows import COLUMN_LIMIT, Changed, chunks, save, severity
from scanner.storable import fill, storable_text
from scanner.verdict import Verdict

#: Code, object and credential: what tells findings of one Namespace apart.
FindingKey = tuple[str, str, str]


def findings_of(verdict: Verdict) -> dict[FindingKey, Result]:
    """Findings by what tells them apart in the database; of those that are the same there, the worst."""
    return {
        (one.code, storable_text(one.object, COLUMN_LIMIT), storable_text(one.credential, COLUMN_LIMIT)): one
        for one in sorted(verdict.findings, key=severity)
    }


def record_findings(changed: list[Changed], *, now: datetime) -> set[tuple[int, str]]:
    """Returns (pk of the namespace, credential) of the findings that stand because their check was not asked."""
    open_rows: dict[tuple[int, FindingKey], Finding] = {
        (finding.namespace_id, (finding.code, finding.object, finding.credential)): finding
        for finding in Finding.objects.filter(namespace__in=[one.row for one in changed], resolved_at=None)
    }
    new: list[Finding] = []
    kept: list[Finding] = []
    for row, verdict, _ in changed:
        for key, result in findings_of(verdict).items():
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
    save(Finding, new, kept, _FINDING_FIELDS)
    for chunk in chunks([finding.pk for key, finding in open_rows.items() if key not in standing]):
        Finding.objects.filter(pk__in=chunk).update(resolved_at=now)
    return {(namespace_id, credential) for namespace_id, (_, _, credential) in standing}


_FINDING_FIELDS: Final = ("status", "rank", "reason", "message", "expires_at", "details", "last_seen_at")
