"""What a report's mail says, line by line and bounded, before it is HTML or text. Pure: values in, values out.

Everything that came from a cluster or a person passes `clean` here: one line, printable, of a bounded length. How many
lines a list may have is the caller's to say, so that a mail that would be too large is laid out again, shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from dashboard.mail.parts import CHART_HEIGHT, SIGNS, Bar, Block, Chart, Layout, Line, Part, Tally
from dashboard.reports.report import (
    ClusterReport,
    Counts,
    CredentialLine,
    FailedScanLine,
    NamespaceReport,
    Report,
    ReportItem,
    Top,
    UnseenNamespace,
)

T = TypeVar("T")

LONGEST_NAME: Final = 120  # characters
LONGEST_SENTENCE: Final = 240  # characters
MOST_BARS: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a report a mail may show."""

    clusters: int
    lines: int
    #: Of each Namespace, in the list of Namespaces.
    items: int


def clean(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """`text` on one line, without what cannot be printed or turns the direction of writing, cut to `longest`."""
    # What is cut away anyway is not looked at: a message may have megabytes.
    start = text[: 8 * longest]
    if not start.isprintable():  # which is rare, and looking at each character is slow
        start = "".join(one if one.isprintable() else " " for one in start)
    line = " ".join(start.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 Namespace", "2 Namespaces"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def lay_out(report: Report, limits: Limits) -> Layout:
    """The mail that tells `report` within `limits`."""
    parts = tuple(_part(report, cluster, limits) for cluster in report.clusters[: limits.clusters])
    return Layout(
        subject=_subject(report),
        preheader=_preheader(report, parts),
        heading=_heading(report),
        period=f"{report.moment(report.since)} to {report.moment(report.until)} {clean(report.time_zone, 60)}",
        reader=clean(report.reader, LONGEST_NAME),
        parts=parts,
        more_clusters=len(report.clusters) - len(parts),
        home_url=report.home_url,
        settings_url=report.settings_url,
        unsubscribe_url=report.unsubscribe_url,
        frequency=clean(report.frequency, 20),
        time_zone=clean(report.time_zone, 60),
    )


def _subject(report: Report) -> str:
    return f"{_place(report)}: {_verdict(report.counts, is_good=report.is_good, clusters=report.clusters)}"


def _place(report: Report) -> str:
    if not report.is_operator:
        return "Your Namespaces"
    if len(report.clusters) == 1:
        return clean(report.clusters[0].name, 80)
    return plural(len(report.clusters), "cluster")


def _verdict(counts: Counts, *, is_good: bool, clusters: Iterable[ClusterReport]) -> str:
    if counts.total == 0 and is_good:
        return "no Namespaces to report on"
    if is_good:
        return "all well" if counts.ok == counts.total else "nothing new, only what was acknowledged"
    told = [
        f"{number} {word}"
        for number, word in (
            (counts.critical, "critical"),
            (counts.unknown, "unknown"),
            (counts.warning, "with a warning"),
        )
        if number
    ]
    if any(cluster.is_failing for cluster in clusters):
        told.append("scans fail")
    # Something is wrong, or this would be a good report: in Namespaces that are well as far as they could be seen.
    return ", ".join(told) or "not all of it was seen"


def _heading(report: Report) -> str:
    if not report.is_operator:
        return "Your Namespaces"
    return clean(report.clusters[0].name, 80) if len(report.clusters) == 1 else "All clusters"


def _preheader(report: Report, parts: tuple[Part, ...]) -> str:
    news = [
        f"{plural(total, 'new problem')}" if kind == "new" else f"{total} {kind}"
        for kind, total in (
            ("new", sum(cluster.new.total for cluster in report.clusters)),
            ("resolved", sum(cluster.resolved.total for cluster in report.clusters)),
            ("expiring", sum(cluster.expiring.total for cluster in report.clusters)),
        )
        if total
    ]
    first = next((block.lines[0] for part in parts for block in part.blocks if block.lines), None)
    worst = f"{first.title}: {first.facts}" if first and not report.is_good else ""
    return clean(". ".join(filter(None, [", ".join(news), worst])) or "Nothing needs you.", 140)


def _part(report: Report, cluster: ClusterReport, limits: Limits) -> Part:
    counts = cluster.counts
    if cluster.is_good:
        status = "ok"
    elif counts.critical or cluster.is_failing:
        status = "critical"
    else:
        status = "unknown" if counts.unknown or cluster.unseen else "warning"
    verdict = _verdict(counts, is_good=cluster.is_good, clusters=(cluster,))
    scanned = f"Last scanned {report.moment(cluster.scanned_at)}" if cluster.scanned_at else "Never scanned in full"
    return Part(
        name=clean(cluster.name, 80),
        url=cluster.url,
        status=status,
        sentence=f"{plural(counts.total, 'Namespace')}: {verdict}." if counts.total else f"{verdict.capitalize()}.",
        scanned=f"{scanned}.",
        tallies=tuple(
            Tally(status=status, number=number, words=words)
            for status, number, words in (
                ("critical", counts.critical, "critical"),
                ("unknown", counts.unknown, "unknown"),
                ("warning", counts.warning, "warning"),
                ("ok", counts.ok, "well"),
            )
        ),
        chart=_chart(cluster),
        blocks=tuple(block for block in _blocks(report, cluster, limits) if block.lines or block.more),
    )


def _blocks(report: Report, cluster: ClusterReport, limits: Limits) -> Iterator[Block]:
    """In the order of what a reader must know first."""
    tell = _Teller(report=report, cluster=cluster, limits=limits)
    yield tell.block("Scans that failed", cluster.failed_scans, tell.failed_scan, about=_FAILING * cluster.is_failing)
    if report.is_operator:
        yield tell.block("New problems", cluster.new, tell.item)
        yield tell.block("Worst Namespaces", cluster.namespaces, tell.namespace)
        yield tell.block("Credentials by the Namespaces they hurt", cluster.credentials, tell.credential)
    else:
        yield from tell.own_namespaces()
        yield tell.block("New in this time", cluster.new, tell.headline)
    yield tell.block("Could not be seen", cluster.unseen, tell.unseen, about=_UNSEEN)
    yield tell.block("Ends within 30 days", cluster.expiring, tell.ending)
    yield tell.block("Resolved", cluster.resolved, tell.resolved)
    yield tell.block("Acknowledged", cluster.acknowledged, tell.item, about=_ACKNOWLEDGED)


_FAILING: Final = "The newest scan failed as well: what this mail says is older than it should be."
_UNSEEN: Final = "Credboard cannot tell whether these are well."
_ACKNOWLEDGED: Final = "Somebody has seen to these."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """Turns the values of one cluster into lines."""

    report: Report
    cluster: ClusterReport
    limits: Limits

    def block(
        self,
        title: str,
        top: Top[T],
        line: Callable[[T], Line],
        *,
        about: str = "",
        url: str = "",
        longest: int | None = None,
    ) -> Block:
        shown = top.items[: self.limits.lines if longest is None else longest]
        hidden = top.total - len(shown)
        return Block(
            title=title,
            lines=tuple(line(one) for one in shown),
            about=about,
            more=f"and {hidden} more" if hidden else "",
            url=url or self.cluster.url,
        )

    def own_namespaces(self) -> Iterator[Block]:
        namespaces = self.cluster.namespaces
        shown = namespaces.items[: self.limits.lines]
        for one in shown:
            title = f"In {clean(one.name, LONGEST_NAME)}"
            yield self.block(title, one.items, self.own, url=one.url, longest=self.limits.items)
        hidden = namespaces.total - len(shown)
        if hidden:
            title = f"And {plural(hidden, 'more Namespace')}"
            yield Block(title=title, lines=(), more="with something wrong in them", url=self.cluster.url)

    def item(self, item: ReportItem, *, action: str = "") -> Line:
        """In a list of several Namespaces."""
        return Line(
            status=_status(item.status),
            title=_title(item.namespace, item.label),
            url=item.url,
            facts=self._facts(item),
            what=clean(item.what),
            note=clean(item.note, 160),
            action=action,
            acknowledge_url=item.acknowledge_url,
        )

    def own(self, item: ReportItem) -> Line:
        """Under the heading of its Namespace."""
        line = self.item(item, action="Repair it")
        return replace(line, title=clean(item.label, LONGEST_NAME) or "The Namespace itself")

    def headline(self, item: ReportItem) -> Line:
        """Of what is told in full elsewhere in the same mail."""
        return replace(self.item(item), what="", note="", acknowledge_url="")

    def ending(self, item: ReportItem) -> Line:
        ends = f"ends {self._day(item.expires_at, ahead=True)}" if item.expires_at else self._facts(item)
        # An owner has the link in the list of the Namespace.
        link = item.acknowledge_url if self.report.is_operator else ""
        return replace(self.headline(item), facts=ends, acknowledge_url=link)

    def resolved(self, item: ReportItem) -> Line:
        how = "well" if item.status == "ok" else "no longer needed"
        facts = f"{how} since {self.report.day(item.since)}"
        return replace(self.headline(item), status="ok", facts=facts, what=clean(item.what))

    def namespace(self, namespace: NamespaceReport) -> Line:
        told = [
            f"{clean(one.label, 60) or 'Namespace'} {clean(one.reason_words, 40)}" for one in namespace.items.items[:3]
        ]
        rest = namespace.items.total - len(told)
        if rest:
            told.append(f"and {rest} more")
        name = clean(namespace.name, LONGEST_NAME)
        return Line(status=_status(namespace.status), title=name, url=namespace.url, facts=", ".join(told))

    def credential(self, line: CredentialLine) -> Line:
        told = plural(line.namespaces, "Namespace")
        if line.critical:
            told += ", critical" if line.critical == line.namespaces else f", critical in {line.critical}"
        return Line(status=_status(line.status), title=clean(line.label, LONGEST_NAME), url=line.url, facts=told)

    def unseen(self, namespace: UnseenNamespace) -> Line:
        seen = f"last seen {self.report.moment(namespace.scanned_at)}" if namespace.scanned_at else "never seen"
        name = clean(namespace.name, LONGEST_NAME)
        return Line(status="unknown", title=name, url=namespace.url, facts=seen, what=clean(namespace.why))

    def failed_scan(self, line: FailedScanLine) -> Line:
        of = f"Scan of {clean(line.namespace, LONGEST_NAME)}" if line.namespace else "Scan of the whole cluster"
        facts = f"{plural(line.times, 'time')}, the last at {self.report.moment(line.at)}"
        return Line(status="critical", title=of, url=self.cluster.url, facts=facts, what=clean(line.words))

    def _facts(self, item: ReportItem) -> str:
        told = [clean(item.reason_words, 40) or _status(item.status), f"since {self._day(item.since)}"]
        if item.expires_at is not None:
            ended = item.expires_at <= self.report.until
            told.append(f"{'ended' if ended else 'ends'} {self._day(item.expires_at, ahead=not ended)}")
        return " · ".join(told)

    def _day(self, at: datetime, *, ahead: bool = False) -> str:
        """ "2026-11-14 (7 d)" for how long ago, "2026-12-01 (in 10 d)" with `ahead`."""
        days = (at - self.report.until if ahead else self.report.until - at) // timedelta(days=1)
        if days < 1:
            return f"{self.report.day(at)} (in less than a day)" if ahead else self.report.day(at)
        return f"{self.report.day(at)} ({'in ' * ahead}{days}\u00a0d)"


def _title(namespace: str, label: str) -> str:
    return " · ".join(filter(None, [clean(namespace, LONGEST_NAME), clean(label, LONGEST_NAME)]))


def _status(status: str) -> str:
    # What no version of ours knows is not shown as fine.
    return status if status in SIGNS else "unknown"


def _chart(cluster: ClusterReport) -> Chart | None:
    days = cluster.trend[-MOST_BARS:]
    known = [(day.critical, day.day) for day in days if day.critical is not None]
    if len(known) < 2:  # of one day there is nothing to compare
        return None
    most, most_day = max(known, key=lambda pair: (pair[0], pair[1]))
    has_values = len(days) <= 10
    bars = tuple(
        Bar(
            height=None if day.critical is None else _height(day.critical, most),
            value="–" if day.critical is None else f"{day.critical}",
            day=f"{day.day:%m-%d}",
            is_last=day is days[-1],
        )
        for day in days
    )
    unknown = len(days) - len(known)
    (first, first_day), (last, last_day) = known[0], known[-1]
    words = (
        f"Critical Namespaces: {first} on {first_day.isoformat()}, {last} on {last_day.isoformat()}"
        + (f", at most {most} on {most_day.isoformat()}." if most else ".")
        + (f" No good scan on {plural(unknown, 'day')}." if unknown else "")
    )
    return Chart(
        bars=bars, words=words, first=days[0].day.isoformat(), last=days[-1].day.isoformat(), has_values=has_values
    )


def _height(number: int, most: int) -> int:
    """In pixels: 0 for none, and at least 3 for any, so that one of a thousand is still a bar."""
    return max(3, round(CHART_HEIGHT * number / most)) if number else 0
