"""From rows to a report: what is new, resolved, ending, worst and not seen. No Django, no database, no clock.

`Facts` are the rows of all clusters, read once for many reports; `build_report` takes from them what one reader may
see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Final

from dashboard.drawer import headline
from dashboard.reports.report import (
    EXPIRING_WITHIN,
    ClusterReport,
    Counts,
    CredentialLine,
    DayHealth,
    FailedScanLine,
    NamespaceReport,
    Report,
    ReportItem,
    Top,
    UnseenNamespace,
)
from dashboard.reports.rows import CellRow, Change, ClusterRow, Facts, Links, NamespaceRow, Reader
from scanner.check import Status, rank
from scanner.staleness import is_stale

TOO_OLD: Final = "Seen too long ago to be believed: its scans fail, or do not run."
NEVER: Final = "Not scanned yet."
BLIND: Final = "Credboard may not read enough of it to tell what is missing."
GAPS: Final = "Not everything in it could be checked."

#: Where an end comes from that was worked out from the issuer's rules: such credentials are renewed all the time, and
#: are worth telling only when they are not.
DERIVED: Final = "derived"

#: A change is dated by the beginning of the scan that saw it, and recorded when that ends. One that the last report was
#: too early for is told by this one; rather twice than never.
RECORDED_WITHIN: Final = timedelta(minutes=10)


def build_report(facts: Facts, reader: Reader, *, visible: Iterable[int], links: Links) -> Report:
    """What `reader` is told of the Namespaces with the pks `visible`, at `facts.now`. Operators are told of every
    cluster, also of one with no Namespace yet; others of those where they may see one."""
    of_cluster: dict[int, list[NamespaceRow]] = {pk: [] for pk in facts.clusters} if reader.is_operator else {}
    for pk in visible:
        if (namespace := facts.namespaces.get(pk)) is not None:
            of_cluster.setdefault(namespace.cluster, []).append(namespace)
    clusters = sorted((facts.clusters[pk] for pk in of_cluster), key=lambda cluster: cluster.name)
    return Report(
        reader=reader.name,
        is_operator=reader.is_operator,
        clusters=tuple(_Cluster(facts, one, of_cluster[one.pk], reader, links).report() for one in clusters),
        since=reader.since,
        until=facts.now,
        frequency=reader.frequency,
        time_zone=reader.time_zone,
        home_url=links.home,
        settings_url=reader.settings_url,
        unsubscribe_url=reader.unsubscribe_url,
    )


class _Cluster:
    """The part of a report about one cluster and `namespaces` of it."""

    def __init__(
        self, facts: Facts, cluster: ClusterRow, namespaces: Sequence[NamespaceRow], reader: Reader, links: Links
    ) -> None:
        self.facts = facts
        self.cluster = cluster
        self.namespaces = sorted(namespaces, key=lambda namespace: namespace.name)
        self.reader = reader
        self.links = links
        self.seen = [one for one in self.namespaces if not self._is_stale(one)]

    def report(self) -> ClusterReport:
        told = ClusterReport(
            name=self.cluster.name,
            url=self.links.cluster(self.cluster.name),
            scanned_at=self.cluster.scanned_at,
            counts=self._counts(),
            namespaces=self._worst(),
            new=Top.of(sorted(self._new(), key=_worst_first)),
            resolved=Top.of(sorted(self._resolved(), key=lambda item: (item.since, item.namespace), reverse=True)),
            expiring=Top.of(sorted(self._expiring(), key=lambda item: (item.expires_at, item.namespace, item.label))),
            acknowledged=Top.of(sorted(self._acknowledged(), key=_worst_first)),
            unseen=Top.of(self._unseen()),
        )
        if not self.reader.is_operator:
            return told
        return replace(
            told,
            trend=self._trend(),
            credentials=self._credentials(),
            failed_scans=self._failed_scans(),
            is_failing=self.cluster.is_failing or self._is_old(self.cluster.scanned_at),
        )

    # What is now

    def _is_old(self, scanned_at: datetime | None) -> bool:
        return is_stale(scanned_at, now=self.facts.now, after=self.cluster.stale_after)

    def _is_stale(self, namespace: NamespaceRow) -> bool:
        return self._is_old(namespace.scanned_at)

    def _counts(self) -> Counts:
        tally = dict.fromkeys(Status, 0)
        for namespace in self.namespaces:
            tally[Status.UNKNOWN if self._is_stale(namespace) else Status(namespace.status)] += 1
        return Counts(**{status.value: number for status, number in tally.items()})

    @cached_property
    def _hurt(self) -> dict[int, list[CellRow]]:
        """The cells that are not well, of the Namespaces that were seen."""
        cells = self.facts.cells
        return {one.pk: [cell for cell in cells.get(one.pk, ()) if cell.status != Status.OK] for one in self.seen}

    def _item(self, namespace: NamespaceRow, cell: CellRow) -> ReportItem:
        problem = self.facts.problems.get((namespace.pk, cell.credential))
        where = self.cluster.name, namespace.name, cell.credential
        return ReportItem(
            cluster=self.cluster.name,
            namespace=namespace.name,
            credential=cell.credential,
            status=cell.status,
            reason=cell.reason,
            since=cell.since,
            expires_at=cell.expires_at,
            what=problem.message if problem and cell.status != Status.OK else f"{headline(cell.status, cell.reason)}.",
            url=self.links.cell(*where),
            acknowledge_url="" if cell.status == Status.OK or self._is_known(cell) else self.links.acknowledge(*where),
            note=self.facts.acknowledged.get((namespace.pk, cell.credential), ""),
        )

    def _items(self, namespace: NamespaceRow) -> list[ReportItem]:
        """What is wrong in one Namespace, worst first, but for what was acknowledged."""
        items = [self._item(namespace, cell) for cell in self._hurt[namespace.pk] if not self._is_known(cell)]
        if (own := self._own_item(namespace)) is not None:
            items.append(own)
        return sorted(items, key=_worst_first)

    def _own_item(self, namespace: NamespaceRow) -> ReportItem | None:
        """What is wrong with the Namespace that none of its cells says."""
        worst = max((rank(cell.status) for cell in self._hurt[namespace.pk]), default=0)
        if rank(namespace.status) <= worst or self._why_unseen(namespace):
            return None
        problem = self.facts.problems.get((namespace.pk, ""))
        return ReportItem(
            cluster=self.cluster.name,
            namespace=namespace.name,
            credential="",
            status=namespace.status,
            reason=namespace.reason,
            since=problem.first_seen_at if problem else namespace.scanned_at or self.facts.now,
            what=problem.message if problem else f"{headline(namespace.status, namespace.reason)}.",
            url=self.links.namespace(self.cluster.name, namespace.name),
        )

    def _is_known(self, cell: CellRow) -> bool:
        return (cell.namespace, cell.credential) in self.facts.acknowledged

    def _worst(self) -> Top[NamespaceReport]:
        found = [(one, items) for one in self.seen if (items := self._items(one))]
        found.sort(key=lambda pair: (-rank(pair[1][0].status), -_critical(pair[1]), pair[0].name))
        return Top.of(
            NamespaceReport(
                name=namespace.name,
                status=items[0].status,
                url=self.links.namespace(self.cluster.name, namespace.name),
                items=Top.of(items),
            )
            for namespace, items in found
        )

    def _acknowledged(self) -> Iterable[ReportItem]:
        for namespace in self.seen:
            for cell in self._hurt[namespace.pk]:
                if self._is_known(cell):
                    yield self._item(namespace, cell)

    def _expiring(self) -> Iterable[ReportItem]:
        soon = self.facts.now + EXPIRING_WITHIN
        for namespace in self.seen:
            for cell in self.facts.cells.get(namespace.pk, ()):
                if cell.expires_at is None or not self.facts.now < cell.expires_at <= soon or self._is_known(cell):
                    continue
                if cell.status != Status.OK or cell.expiry_source != DERIVED:
                    yield self._item(namespace, cell)

    # What was not seen

    def _why_unseen(self, namespace: NamespaceRow) -> str:
        if self._is_stale(namespace):
            return TOO_OLD if namespace.scanned_at else NEVER
        if namespace.is_blind:
            return BLIND
        is_gap = namespace.status == Status.UNKNOWN and namespace.reason == "not-checked"
        return GAPS if is_gap and not self._hurt[namespace.pk] else ""

    def _unseen(self) -> Iterable[UnseenNamespace]:
        for namespace in self.namespaces:
            if why := self._why_unseen(namespace):
                url = self.links.namespace(self.cluster.name, namespace.name)
                yield UnseenNamespace(name=namespace.name, why=why, scanned_at=namespace.scanned_at, url=url)

    # What changed

    def _changed(self) -> Iterable[tuple[NamespaceRow, list[Change]]]:
        """The changes of each cell within the time of the report, in their order."""
        for namespace in self.seen:
            since = self.reader.since - RECORDED_WITHIN
            late = [one for one in self.facts.changes.get(namespace.pk, ()) if one.at >= since]
            late.sort(key=lambda change: change.credential)  # which keeps their order
            for _, changes in groupby(late, key=lambda change: change.credential):
                yield namespace, list(changes)

    def _new(self) -> Iterable[ReportItem]:
        for namespace, changes in self._changed():
            first, last = changes[0], changes[-1]
            if _rank(last.status_after) <= _rank(first.status_before):
                continue
            for cell in self._hurt[namespace.pk]:
                if cell.credential == last.credential and not self._is_known(cell):
                    yield self._item(namespace, cell)

    def _resolved(self) -> Iterable[ReportItem]:
        for namespace, changes in self._changed():
            last = changes[-1]
            if _rank(last.status_after) or any(cell.credential == last.credential for cell in self._hurt[namespace.pk]):
                continue
            was = [change.reason_before for change in changes if _rank(change.status_before)]
            if was:
                yield ReportItem(
                    cluster=self.cluster.name,
                    namespace=namespace.name,
                    credential=last.credential,
                    status=last.status_after,
                    reason=was[-1],
                    since=last.at,
                    what=f"Was {was[-1].replace('-', ' ')}." if last.status_after else "Nothing needs it any more.",
                    url=self._url_of_well(namespace, last),
                )

    def _url_of_well(self, namespace: NamespaceRow, last: Change) -> str:
        if last.status_after:
            return self.links.cell(self.cluster.name, namespace.name, last.credential)
        return self.links.namespace(self.cluster.name, namespace.name)

    # For operators

    def _credentials(self) -> Top[CredentialLine]:
        tally: dict[str, list[str]] = {}
        for cells in self._hurt.values():
            for cell in cells:
                if not self._is_known(cell):
                    tally.setdefault(cell.credential, []).append(cell.status)
        lines = [
            CredentialLine(
                credential=credential,
                status=max(statuses, key=rank),
                namespaces=len(statuses),
                critical=statuses.count(Status.CRITICAL),
                url=self.links.cluster(self.cluster.name, credential),
            )
            for credential, statuses in tally.items()
        ]
        return Top.of(sorted(lines, key=lambda line: (-line.namespaces, -line.critical, line.credential)))

    def _failed_scans(self) -> Top[FailedScanLine]:
        lines = [
            FailedScanLine(namespace=scan.namespace, words=scan.words, times=scan.times, at=scan.at)
            for scan in self.facts.failed_scans
            if scan.cluster == self.cluster.pk
        ]
        return Top.of(sorted(lines, key=lambda line: (line.namespace != "", -line.at.timestamp(), line.namespace)))

    def _trend(self) -> tuple[DayHealth, ...]:
        """Every day from the first that is known to the present one."""
        known = self.facts.trends.get(self.cluster.pk, {})
        if not known:
            return ()
        first, today = min(known), self.facts.now.astimezone(UTC).date()
        days = (first + timedelta(days=number) for number in range((today - first).days + 1))
        return tuple(DayHealth(day=day, critical=known.get(day)) for day in days)


def _rank(status: str) -> int:
    """Of a status that may be "" (no cell)."""
    return rank(status) if status else 0


def _critical(items: Iterable[ReportItem]) -> int:
    return sum(item.status == Status.CRITICAL for item in items)


def _worst_first(item: ReportItem) -> tuple[int, str, str]:
    return (-_rank(item.status), item.namespace, item.credential)
