"""What Prometheus reads: computed from the database when it asks, so every process of Credboard tells the same.

Labels are bounded. What is told of all is counted by cluster, credential and status; what is told one by one is only
what is not well or ends soon, the worst first and at most `settings.METRICS_MAX_SERIES` in all (half of them cells, a
quarter Namespaces, a quarter ends), and what was left out is told too. docs/metrics.md describes every one of
`METRICS`; a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dashboard import backlog
from dashboard import metrics_rows as rows
from dashboard.models import Acknowledgement, AlertMessage, AlertRoute, Mail
from scanner.check import Status
from scanner.models import Cell, Cluster, Credential, Freshness, Scan

#: What ends within this time has a series of its own.
ENDING_SOON: Final = timedelta(days=30)
#: Failed scans are counted over this time.
ERRORS_WITHIN: Final = timedelta(hours=1)

STATUSES: Final = tuple(status.value for status in Status)

Sample = tuple[tuple[str, ...], float]
Samples = tuple[str, list[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One metric: its name, its labels, and what it says. All are gauges."""

    name: str
    labels: tuple[str, ...]
    about: str


METRICS: Final = (
    Declared(
        name="credboard_namespaces",
        labels=("cluster", "status"),
        about="Namespaces of each status. One that was seen too long ago is unknown.",
    ),
    Declared(
        name="credboard_cells",
        labels=("cluster", "credential", "status"),
        about="Namespaces that need the credential, by the status it has there.",
    ),
    Declared(
        name="credboard_namespace_status",
        labels=("cluster", "namespace", "status", "reason"),
        about="1 for each Namespace that is not ok, with its status and why.",
    ),
    Declared(
        name="credboard_cell_status",
        labels=("cluster", "namespace", "credential", "status", "reason"),
        about="1 for each credential of a Namespace that is not ok, with its status and why.",
    ),
    Declared(
        name="credboard_credential_expiry_timestamp_seconds",
        labels=("cluster", "credential"),
        about="When the first one of this credential ends, in any Namespace, as Unix time.",
    ),
    Declared(
        name="credboard_cell_expiry_timestamp_seconds",
        labels=("cluster", "namespace", "credential"),
        about="When this credential of a Namespace ends, as Unix time, if within 30 days.",
    ),
    Declared(
        name="credboard_metrics_truncated",
        labels=("metric",),
        about="Series that were left out of this metric because of CREDBOARD_METRICS_MAX_SERIES.",
    ),
    Declared(
        name="credboard_scan_age_seconds",
        labels=("cluster",),
        about="Since the start of the last scan that ended well; +Inf when none has.",
    ),
    Declared(
        name="credboard_scan_interval_seconds", labels=("cluster",), about="How often the cluster is to be scanned."
    ),
    Declared(
        name="credboard_scan_duration_seconds", labels=("cluster",), about="How long the last finished scan took."
    ),
    Declared(
        name="credboard_scan_failed",
        labels=("cluster", "error_kind"),
        about="1 if the newest finished scan failed, with the kind of error; 0 if it ended well.",
    ),
    Declared(
        name="credboard_scan_errors",
        labels=("cluster", "error_kind"),
        about="Scans of the cluster, or of one Namespace of it, that failed in the last hour.",
    ),
    Declared(
        name="credboard_scan_failed_namespaces",
        labels=("cluster",),
        about="Namespaces that the last good scan could not read.",
    ),
    Declared(
        name="credboard_queue_due", labels=("kind",), about="Scans that are due and that no worker was told of yet."
    ),
    Declared(
        name="credboard_queue_lag_seconds", labels=("kind",), about="For how long the oldest of them has been due."
    ),
    Declared(name="credboard_broker_up", labels=(), about="1 if the broker answers, else 0."),
    Declared(
        name="credboard_queue_length",
        labels=(),
        about="Tasks that wait in the broker; absent while it does not answer.",
    ),
    Declared(
        name="credboard_acknowledgements", labels=("cluster",), about="Cells that a person has acknowledged or snoozed."
    ),
    Declared(name="credboard_mails", labels=("state",), about="Mails that are kept, by how far they came."),
    Declared(name="credboard_alerts", labels=("state",), about="Alerts that are kept, by how far they came."),
    Declared(
        name="credboard_alert_routes_failing",
        labels=(),
        about="Alert routes whose last message did not reach its service.",
    ),
)
BY_NAME: Final = {one.name: one for one in METRICS}


class DatabaseCollector(Collector):
    """Reads everything once for each scrape. Raises DatabaseError when the database does not answer."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        reading = _Reading(list(Cluster.objects.order_by("name")), now=self._now, most=settings.METRICS_MAX_SERIES)
        for name, samples in reading.samples():
            declared = BY_NAME[name]
            family = GaugeMetricFamily(name, declared.about, labels=declared.labels)
            for values, number in samples:
                family.add_metric(values, number)
            yield family


def registry(*, now: datetime) -> CollectorRegistry:
    """A registry with everything Credboard tells, as it is at `now`."""
    made = CollectorRegistry(auto_describe=False)
    made.register(DatabaseCollector(now=now))
    return made


class _Reading:
    """One look at the database: so many queries, whatever the number of rows and clusters."""

    def __init__(self, clusters: list[Cluster], *, now: datetime, most: int) -> None:
        self._clusters = clusters
        self._names = {cluster.pk: cluster.name for cluster in clusters}
        self._fresh = Freshness(clusters, now=now)
        self._now = now
        self._most = most
        self._truncated: dict[str, int] = {}

    def samples(self) -> Iterator[Samples]:
        """Every metric of `METRICS` with its samples."""
        yield from self._namespaces()
        yield from self._cells()
        yield from self._expiry()
        yield "credboard_metrics_truncated", [((name,), left) for name, left in sorted(self._truncated.items())]
        yield from self._scans()
        yield from self._work()
        yield from self._people()

    def _namespaces(self) -> Iterator[Samples]:
        numbers = rows.namespaces(self._fresh)
        yield (
            "credboard_namespaces",
            # Every cluster has every status, so that none is missing the moment it is looked for.
            [((name, status), numbers[pk, status]) for pk, name in self._names.items() for status in STATUSES],
        )
        hurt = sum(number for (_, status), number in numbers.items() if status != Status.OK)
        found = rows.hurt_namespaces(self._fresh, most=self._most // 4)
        yield self._detail("credboard_namespace_status", hurt, [(self._words(row), 1) for row in found])

    def _cells(self) -> Iterator[Samples]:
        columns = {one.pk: (one.cluster.name, one.slug) for one in Credential.objects.of_clusters(self._names)}
        numbers = Cell.objects.status_counts(columns, self._fresh)
        yield (
            "credboard_cells",
            [
                ((*words, status), numbers[pk][status])
                for pk, words in columns.items()
                if pk in numbers
                for status in STATUSES
            ],
        )
        hurt = sum(number for tally in numbers.values() for status, number in tally.items() if status != Status.OK)
        found = rows.hurt_cells(self._fresh, most=self._most - self._most // 4 * 2)
        yield self._detail("credboard_cell_status", hurt, [(self._words(row), 1) for row in found])

    def _expiry(self) -> Iterator[Samples]:
        first = rows.first_ends(self._names)
        yield (
            "credboard_credential_expiry_timestamp_seconds",
            [((self._names[pk], slug), at.timestamp()) for pk, slug, at in first],
        )
        there, found = rows.ends(before=self._now + ENDING_SOON, most=self._most // 4)
        samples = [(self._words(row), at.timestamp()) for *row, at in found]
        yield self._detail("credboard_cell_expiry_timestamp_seconds", there, samples)

    def _words(self, row: Iterable[object]) -> tuple[str, ...]:
        """The values of labels of a row that begins with the key of its cluster."""
        cluster, *words = row
        return (self._names[int(str(cluster))], *map(str, words))

    def _detail(self, metric: str, there: int, samples: list[Sample]) -> Samples:
        self._truncated[metric] = max(0, there - len(samples))
        return metric, samples

    def _scans(self) -> Iterator[Samples]:
        ended, good = rows.newest_scans(self._clusters)
        age = {pk: (self._now - scan.started_at).total_seconds() for pk, scan in good.items()}
        yield "credboard_scan_age_seconds", [((name,), age.get(pk, math.inf)) for pk, name in self._names.items()]
        intervals: list[Sample] = [((cluster.name,), float(cluster.scan_interval)) for cluster in self._clusters]
        yield "credboard_scan_interval_seconds", intervals
        took: list[Sample] = [
            ((self._names[pk],), ((scan.finished_at or self._now) - scan.started_at).total_seconds())
            for pk, scan in ended.items()
        ]
        yield "credboard_scan_duration_seconds", took
        failed = [(self._names[pk], scan, scan.state == Scan.State.FAILED) for pk, scan in ended.items()]
        yield (
            "credboard_scan_failed",
            [((name, scan.error_kind if bad else ""), float(bad)) for name, scan, bad in failed],
        )
        errors = rows.scan_errors(self._names, since=self._now - ERRORS_WITHIN)
        yield "credboard_scan_errors", [((self._names[pk], kind), number) for pk, kind, number in errors]
        missed: list[Sample] = [((self._names[pk],), scan.failed_namespaces) for pk, scan in good.items()]
        yield "credboard_scan_failed_namespaces", missed

    def _work(self) -> Iterator[Samples]:
        due = backlog.due(now=self._now)
        yield "credboard_queue_due", [((kind,), one.number) for kind, one in due.items()]
        yield "credboard_queue_lag_seconds", [((kind,), one.lag.total_seconds()) for kind, one in due.items()]
        waiting = backlog.tasks_waiting()
        yield "credboard_broker_up", [((), float(waiting is not None))]
        yield "credboard_queue_length", [] if waiting is None else [((), waiting)]

    def _people(self) -> Iterator[Samples]:
        numbers = rows.acknowledgements(Acknowledgement.objects.in_force(self._now))
        yield "credboard_acknowledgements", [((name,), numbers.get(pk, 0)) for pk, name in self._names.items()]
        mails, alerts = rows.states(Mail.objects.all()), rows.states(AlertMessage.objects.all())
        yield "credboard_mails", [((state.value,), mails.get(state, 0)) for state in Mail.State]
        yield "credboard_alerts", [((state.value,), alerts.get(state, 0)) for state in AlertMessage.State]
        yield "credboard_alert_routes_failing", [((), AlertRoute.objects.enabled().exclude(failing_since=None).count())]
