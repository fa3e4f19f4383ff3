"""Tables as CSV (RFC 4180), with the filters of their pages and for the same eyes.

They are sent row by row, so that ten thousand Namespaces cost no more memory than ten.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import Http404, QueryDict, StreamingHttpResponse

from dashboard.audit import AuditPage
from dashboard.endings import ExpiryFilters
from dashboard.expiry_page import ExpiryPage
from dashboard.findings_page import FindingFilters, FindingsPage
from dashboard.identity import is_operator
from dashboard.matrix_page import Filters, MatrixPage
from dashboard.models import AlertMessage
from dashboard.reports.page import ReportsPage
from dashboard.shell import Shell
from scanner.check import Status
from scanner.models import Cluster, Freshness

#: What makes a spreadsheet read a cell as a formula (OWASP, CSV injection); the signs of full width, as East Asian
#: keyboards type them, count in spreadsheets of those languages.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CHUNK: Final = 500

Lines = Iterator[Iterable[object]]


class _Echo:
    """What csv writes to: hands each line on."""

    def write(self, line: str) -> str:
        return line


def cell(value: object) -> str:
    """`value` as a cell of a table that no spreadsheet runs."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def response(table: str, user: Any, query: QueryDict, shell: Shell) -> StreamingHttpResponse:
    """`table`, one of `TABLES`, as far as `user` may see it. Raises Http404 for a cluster or table that is not for
    `user`."""
    lines = TABLES[table](user, query, shell)
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    made = StreamingHttpResponse(
        (writer.writerow([cell(value) for value in line]) for line in lines),
        content_type="text/csv; charset=utf-8; header=present",
    )
    made["Content-Disposition"] = f'attachment; filename="credboard-{table}-{shell.now:%Y-%m-%d}.csv"'
    made["Cache-Control"] = "private, no-store"
    return made


def _cluster(shell: Shell) -> Cluster:
    cluster = shell.require_cluster()
    if cluster is None:
        raise Http404("No cluster")
    return cluster


def _matrix(user: Any, query: QueryDict, shell: Shell) -> Lines:
    page = MatrixPage(_cluster(shell), user, Filters.read(query), path="", cluster_in_url="", now=shell.now)
    columns = [column.credential for column in page.columns]

    def lines() -> Lines:
        yield ["Namespace", "Owner", "More owners", "Status", "Reason", *columns]
        for row in page.all_rows():
            told = [_told(shown.status, shown.text) for shown in row.cells]
            yield [row.name, row.owner, row.more_owners or "", row.status, row.text, *told]

    return lines()


def _told(status: Status | None, text: str) -> str:
    """A cell of the matrix; "" for one that nothing needs."""
    if status is None:
        return ""
    return f"{status}: {text}" if text else str(status)


def _findings(user: Any, query: QueryDict, shell: Shell) -> Lines:
    cluster, named = _cluster(shell), query.get("namespace", "").replace("\x00", "").strip()
    page = FindingsPage(cluster, user, FindingFilters.read(query), cluster_in_url="", now=shell.now)
    rows = page.all_rows().filter(namespace__name=named) if named else page.all_rows()
    fresh = Freshness([cluster], now=shell.now)

    def lines() -> Lines:
        yield [
            "Namespace", "Status", "Code", "Reason", "Credential", "Object", "Message", "First seen", "Last seen",
            "Resolved", "Expires", "Stale",
        ]  # fmt: skip
        for row in rows.iterator(CHUNK):
            is_stale = row.resolved_at is None and fresh.is_stale(cluster.pk, row.namespace.scanned_at)
            yield [
                row.namespace.name, Status.UNKNOWN if is_stale else row.status, row.code, row.reason, row.credential,
                row.object, row.message, row.first_seen_at, row.last_seen_at, row.resolved_at, row.expires_at,
                "yes" if is_stale else "",
            ]  # fmt: skip

    return lines()


def _expiry(user: Any, query: QueryDict, shell: Shell) -> Lines:
    cluster = _cluster(shell)
    rows = ExpiryPage(cluster, user, ExpiryFilters.read(query), cluster_in_url="", now=shell.now).all_cells()
    fresh = Freshness([cluster], now=shell.now)

    def lines() -> Lines:
        yield ["Expires", "Namespace", "Credential", "Secret", "Status", "Reason", "Source"]
        for row in rows.iterator(CHUNK):
            is_stale = fresh.is_stale(cluster.pk, row.namespace.scanned_at)
            status, reason = (Status.UNKNOWN, "stale") if is_stale else (row.status, row.reason)
            yield [
                row.expires_at, row.namespace.name, row.credential.slug, row.secret, status, reason, row.expiry_source,
            ]  # fmt: skip

    return lines()


def _audit(user: Any, query: QueryDict, shell: Shell) -> Lines:
    entries = AuditPage(user, query).rows

    def lines() -> Lines:
        yield ["At", "Person", "Action", "Cluster", "Namespace", "Object", "Outcome", "Message"]
        for entry in entries.iterator(CHUNK):
            yield [
                entry.at, entry.actor, entry.action, entry.cluster, entry.namespace, entry.object, entry.outcome,
                entry.message,
            ]  # fmt: skip

    return lines()


def _reports(user: Any, query: QueryDict, shell: Shell) -> Lines:
    mails = ReportsPage(user, query, now=shell.now).rows

    def lines() -> Lines:
        yield ["Created", "To", "Kind", "Subject", "State", "Sent", "Tries", "Error"]
        for mail in mails.iterator(CHUNK):
            yield [
                mail.created_at, mail.to, mail.kind, mail.subject, mail.state, mail.sent_at, mail.attempts, mail.error,
            ]  # fmt: skip

    return lines()


def _alerts(user: Any, query: QueryDict, shell: Shell) -> Lines:
    if not is_operator(user):
        raise Http404("No such table")

    def lines() -> Lines:
        yield ["Written", "Route", "Cluster", "Credential", "News", "Title", "State", "Sent", "Tries", "Error"]
        for message in AlertMessage.objects.shown().select_related("cluster").iterator(CHUNK):
            yield [
                message.sealed_at, message.route.name, message.cluster.name, message.credential, message.news,
                message.title, message.state, message.sent_at, message.attempts, message.error,
            ]  # fmt: skip

    return lines()


#: What can be exported: name -> the lines, the first of which is the header.
TABLES: Final[Mapping[str, Callable[[Any, QueryDict, Shell], Lines]]] = {
    "matrix": _matrix,
    "findings": _findings,
    "expiry": _expiry,
    "audit": _audit,
    "reports": _reports,
    "alerts": _alerts,
}
