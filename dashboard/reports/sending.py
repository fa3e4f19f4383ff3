"""Reports: the rows they are made of, the schedule they go out by, and the mail that each becomes.

`send_due` makes one mail for each person and period, however often it runs and wherever it is cut off. Whatever takes
time comes first and changes nothing; then one transaction moves the subscription on (an UPDATE of the due moment as it
was read) and puts the mail into the outbox, whose key is unique as well. So a worker that dies leaves either both or
neither, and of two that race one changes a row. From the outbox on `dashboard/mail/delivery.py` promises what can be.

`report_for` is what the Reports page previews: the same report, for one reader, of which nothing is recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar
from urllib.parse import urlencode

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Case, Count, Max, OuterRef, Q, Subquery, When
from django.db.models.functions import TruncDate
from django.urls import get_script_prefix, reverse

from dashboard.identity import as_of_now, is_operator
from dashboard.mail.message import report_headers
from dashboard.mail.rendering import render_report
from dashboard.models import Acknowledgement, Mail, Subscription
from dashboard.models.mail import REPORT
from dashboard.reports.building import RECORDED_WITHIN, build_report
from dashboard.reports.recipients import may_be_written_to, names_by_address, namespaces_of
from dashboard.reports.report import EXPIRING_WITHIN, Report
from dashboard.reports.rows import CellRow, Change, ClusterRow, Facts, FailedScan, NamespaceRow, Problem, Reader
from dashboard.schedule import LENGTHS, Frequency
from scanner.check import Status
from scanner.models import Cell, Cluster, Finding, Namespace, Scan, Transition
from scanner.models.namespace import NamespaceQuerySet

log = logging.getLogger(__name__)
R = TypeVar("R", CellRow, Change)

KIND: Final = REPORT
#: How far the trend of a cluster looks back. Scans are kept for `settings.SCAN_RETENTION` days.
TREND: Final = timedelta(days=30)
_UNSUBSCRIBE: Final = "credboard.unsubscribe"


class PublicLinks:
    """Pages under `settings.PUBLIC_URL`, as `rows.Links`."""

    def __init__(self) -> None:
        self.home = public("matrix")

    def cluster(self, cluster: str, credential: str = "") -> str:
        wanted = {"cluster": cluster} | ({"credential": credential} if credential else {})
        return f"{self.home}?{urlencode(wanted)}"

    def namespace(self, cluster: str, namespace: str) -> str:
        return public("namespace", cluster, namespace)

    def cell(self, cluster: str, namespace: str, credential: str) -> str:
        return public("cell", cluster, namespace, credential)

    def acknowledge(self, cluster: str, namespace: str, credential: str) -> str:
        return public("acknowledge", cluster, namespace, credential)


def public(name: str, *args: str) -> str:
    """The absolute address of the page with the URL name `name`.

    `CREDBOARD_PATH_PREFIX` is part of what `reverse` gives; CREDBOARD_URL may end with it or leave it out.
    """
    prefix = get_script_prefix().rstrip("/")
    return f"{settings.PUBLIC_URL.removesuffix(prefix)}{reverse(name, args=args)}"


def unsubscribe_url(subscription: Subscription) -> str:
    """Opens without sign-in, for as long as the key that signed it is believed: mails are kept for years."""
    return public("unsubscribe", Signer(salt=_UNSUBSCRIBE).sign(str(subscription.pk)))


def subscription_of(token: str) -> Subscription | None:
    """The subscription that an unsubscribe link is for; None for a link that is not ours, or for one that is gone."""
    try:
        key = int(Signer(salt=_UNSUBSCRIBE).unsign(token))
    except (BadSignature, ValueError):
        return None
    return Subscription.objects.filter(pk=key).first()


def report_for(subscription: Subscription, *, now: datetime) -> Report:
    """What a report to this subscription would tell if it were due at `now`. It need not be saved; nothing changes."""
    since = subscription.sent_until or now - LENGTHS.get(Frequency(subscription.frequency), timedelta(days=7))
    visible = namespaces_of(subscription, names_by_address())
    everything = subscription.user is not None and is_operator(subscription.user)
    facts = read_facts(since=since, now=now, visible=None if everything else visible)
    if everything:
        facts = replace(facts, failed_scans=read_failed_scans(since=since), trends=read_trends(since=now - TREND))
    return _report(facts, subscription, since=since, visible=visible.values_list("pk", flat=True))


def send_due(keys: Iterable[int], *, now: datetime) -> int:
    """Put the reports of these subscriptions that are due into the outbox; how many mails that were.

    What cannot be made is logged, stays due and does not keep the others: then an ExceptionGroup is raised at the end.
    """
    due = list(Subscription.objects.due(now).among(keys))
    if not due:
        return 0
    round_ = _Round(now=now, since=min(one.period_start for one in due))
    failures: list[Exception] = []
    made = 0
    for subscription in due:
        try:
            made += round_.send(subscription)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            log.exception("The report of subscription %d could not be made", subscription.pk)
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(due)} reports could not be made", failures)
    return made


class _Round:
    """Many reports at one moment. What they have in common is read once, when the first one needs it."""

    def __init__(self, *, now: datetime, since: datetime) -> None:
        self.now = now
        self.since = since
        self._failed_scans: dict[datetime, Sequence[FailedScan]] = {}

    @cached_property
    def facts(self) -> Facts:
        return read_facts(since=self.since, now=self.now)

    @cached_property
    def _trends(self) -> Mapping[int, Mapping[date, int]]:
        return read_trends(since=self.now - TREND)

    def _facts_for(self, subscription: Subscription, *, since: datetime) -> Facts:
        """With what only operators are told; those who got their last report together share what failed since."""
        if subscription.user is None or not is_operator(subscription.user):
            return self.facts
        if since not in self._failed_scans:
            self._failed_scans[since] = read_failed_scans(since=since)
        return replace(self.facts, failed_scans=self._failed_scans[since], trends=self._trends)

    @cached_property
    def names(self) -> Mapping[str, list[str]]:
        return names_by_address()

    def send(self, subscription: Subscription) -> int:
        """1 if there is a mail now that was not there before."""
        if subscription.user is not None:
            as_of_now(subscription.user)
        since = subscription.period_start
        # Here and not in the key below: the claim moves both on.
        key = f"{KIND}:{subscription.pk}:{since.astimezone(UTC).isoformat(timespec='seconds')}"
        report = self._report_to_send(subscription, since=since)
        if report is None:
            subscription.claim(now=self.now)
            return 0
        rendered = render_report(report)
        with transaction.atomic():
            if not subscription.claim(now=self.now):
                return 0
            mail = Mail.objects.enqueue(
                key=key,
                kind=KIND,
                to=subscription.address,
                subject=rendered.subject,
                html=rendered.html,
                text=rendered.text,
                headers=report_headers(subscription=subscription.pk, unsubscribe_url=report.unsubscribe_url),
                subscription=subscription,
            )
        return int(mail is not None)

    def _report_to_send(self, subscription: Subscription, *, since: datetime) -> Report | None:
        """None when there is nothing to send: nothing to tell about, or nobody who may, or wants to, be told."""
        if not may_be_written_to(subscription):
            return None
        visible = namespaces_of(subscription, self.names).values_list("pk", flat=True)
        report = _report(self._facts_for(subscription, since=since), subscription, since=since, visible=visible)
        if not report.clusters or (report.is_good and not subscription.sends_when_well):
            return None
        return report


def _report(facts: Facts, subscription: Subscription, *, since: datetime, visible: Iterable[int]) -> Report:
    user = subscription.user
    reader = Reader(
        name=user.get_username() if user is not None else subscription.address,
        is_operator=user is not None and is_operator(user),
        since=since,
        frequency=subscription.frequency,
        time_zone=subscription.time_zone,
        settings_url=public("report-settings") if user is not None else "",
        unsubscribe_url=unsubscribe_url(subscription) if subscription.pk else "",
    )
    return build_report(facts, reader, visible=visible, links=PublicLinks())


def read_facts(*, since: datetime, now: datetime, visible: NamespaceQuerySet | None = None) -> Facts:
    """What reports about the time from `since` to `now` are made of: six queries, of all Namespaces or of those in
    the QuerySet `visible`. Clusters that are not scanned any more, on purpose, are left out."""
    clusters = {row.pk: row for row in _clusters()}
    within = Q(namespace__gone_at=None, namespace__cluster__in=list(clusters))
    own = Q(gone_at=None, cluster__in=list(clusters))
    if visible is not None:
        keys = visible.values("pk")
        within, own = within & Q(namespace__in=keys), own & Q(pk__in=keys)
    return Facts(
        now=now,
        clusters=clusters,
        namespaces={row.pk: row for row in _namespaces(own)},
        cells=_cells(within, now=now),
        changes=_changes(within, since=since, now=now),
        acknowledged=_acknowledged(within, now=now),
        problems=_problems(within),
    )


def _clusters() -> Iterator[ClusterRow]:
    ended = Scan.objects.of_whole_cluster().filter(cluster=OuterRef("pk")).exclude(state=Scan.State.RUNNING)
    newest_first = ended.order_by("-started_at", "-pk")
    rows = Cluster.objects.exclude(next_scan_at=None)
    newest = Subquery(newest_first.values("state")[:1])
    good_at = Subquery(newest_first.filter(state=Scan.State.DONE).values("started_at")[:1])
    for pk, name, interval, state, scanned_at in rows.values_list("pk", "name", "scan_interval", newest, good_at):
        yield ClusterRow(
            pk=pk,
            name=name,
            stale_after=Cluster(scan_interval=interval).stale_after,
            scanned_at=scanned_at,
            is_failing=state == Scan.State.FAILED,
        )


def _namespaces(own: Q) -> Iterator[NamespaceRow]:
    columns = ("pk", "cluster_id", "name", "status", "reason", "scanned_at", "is_blind")
    return map(NamespaceRow._make, Namespace.objects.filter(own).values_list(*columns))


def _cells(within: Q, *, now: datetime) -> dict[int, list[CellRow]]:
    ending = Q(expires_at__gt=now, expires_at__lte=now + EXPIRING_WITHIN)
    columns = ("namespace_id", "credential__slug", "status", "reason", "since", "expires_at", "expiry_source")
    rows = Cell.objects.filter(within & (~Q(status=Status.OK) | ending)).values_list(*columns)
    return _by_namespace(map(CellRow._make, rows))


def _changes(within: Q, *, since: datetime, now: datetime) -> dict[int, list[Change]]:
    columns = ("namespace_id", "credential__slug", "at", "status_before", "reason_before", "status_after")
    rows = Transition.objects.of_present().between(since - RECORDED_WITHIN, now).filter(within).order_by("pk")
    return _by_namespace(map(Change._make, rows.values_list(*columns)))


def _by_namespace(rows: Iterable[R]) -> dict[int, list[R]]:
    found: dict[int, list[R]] = {}
    for row in rows:
        found.setdefault(row.namespace, []).append(row)
    return found


def _acknowledged(within: Q, *, now: datetime) -> dict[tuple[int, str], str]:
    found = {}
    for one in Acknowledgement.objects.in_force(now).filter(within).order_by("pk"):
        done = "Snoozed" if one.is_snooze else "Acknowledged"
        words = f"{done} by {one.actor} until {one.until.astimezone(UTC).date().isoformat()}"
        found[one.namespace_id, one.credential] = f"{words}: {one.note}" if one.note else f"{words}."
    return found


def _problems(within: Q) -> dict[tuple[int, str], Problem]:
    # The worst comes last; of equals, what is wrong rather than the pull that fails of it.
    order = ("rank", Case(When(code="PO01", then=0), default=1), "-code", "-object")
    rows = Finding.objects.open().filter(within, rank__gt=0).order_by(*order)
    columns = ("namespace_id", "credential", "message", "first_seen_at")
    return {(namespace, credential): Problem(*rest) for namespace, credential, *rest in rows.values_list(*columns)}


def read_failed_scans(*, since: datetime) -> tuple[FailedScan, ...]:
    """Of all clusters, those that failed alike counted together."""
    failed = Scan.objects.filter(state=Scan.State.FAILED, started_at__gte=since).order_by()
    alike = failed.values_list("cluster_id", "namespace", "error").annotate(times=Count("pk"), at=Max("started_at"))
    return tuple(map(FailedScan._make, alike))


def read_trends(*, since: datetime) -> dict[int, dict[date, int]]:
    """By cluster and day (UTC) the most critical Namespaces that a scan of the whole cluster found."""
    done = Scan.objects.of_whole_cluster().filter(state=Scan.State.DONE, started_at__gte=since).order_by()
    days = done.annotate(day=TruncDate("started_at", tzinfo=UTC)).values_list("cluster_id", "day")
    found: dict[int, dict[date, int]] = {}
    for cluster, day, most in days.annotate(most=Max("critical")):
        found.setdefault(cluster, {})[day] = most
    return found
