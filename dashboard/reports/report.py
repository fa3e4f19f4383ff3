"""The weekly report as values: what a mail tells one reader. No Django, no database, no clock.

`building.build_report` makes one of rows; `dashboard.mail.rendering` writes it as HTML and text. All times are
aware UTC; `Report.day` and `Report.moment` write them in the reader's time zone, in ISO 8601 so that they read alike
in any language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from scanner.check import Status
from scanner.columns import label_of

#: The longest list in a mail; what is left out is counted, and found behind the link of its Namespace or cluster.
LONGEST_LIST: Final = 20
#: How far a report looks ahead for credentials that end.
EXPIRING_WITHIN: Final = timedelta(days=30)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Top(Generic[T]):
    """The first `LONGEST_LIST` of a list, and how many `more` there are."""

    items: tuple[T, ...] = ()
    more: int = 0

    @classmethod
    def of(cls, items: Iterable[T], longest: int = LONGEST_LIST) -> Top[T]:
        """Of all `items`, in their order."""
        everything = tuple(items)
        return cls(everything[:longest], max(0, len(everything) - longest))

    @property
    def total(self) -> int:
        return len(self.items) + self.more

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportItem:
    """A cell, or (`credential` "") a Namespace with a problem that no credential is to blame for.

    `status` and `reason` are those of now; a resolved one is "ok", or "" when nothing needs the credential any more.
    `since` is when that began. `what` says in a sentence what is wrong (of a resolved one: was). `url` is the page
    where it is put right. `note` is a person's own words about it, of an acknowledged one. `acknowledge_url` is the
    form that acknowledges a cell in trouble, which opening it does not do; "" for what is well or acknowledged, and for
    what is no cell.
    """

    cluster: str
    namespace: str
    credential: str
    status: str
    reason: str
    since: datetime
    what: str
    url: str
    expires_at: datetime | None = None
    note: str = ""
    acknowledge_url: str = ""

    @property
    def label(self) -> str:
        """The credential as a heading: "registry/quay.io" is "quay.io"; "" without one."""
        return label_of(self.credential) if self.credential else ""

    @property
    def reason_words(self) -> str:
        return self.reason.replace("-", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenNamespace:
    """A Namespace that Credboard cannot vouch for: seen too long ago (`scanned_at`, None for never), or not in full.

    `why` is a sentence without the time: "Seen too long ago to be believed".
    """

    name: str
    why: str
    scanned_at: datetime | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceReport:
    """One Namespace and what is wrong in it, worst first; acknowledged items are not in it."""

    name: str
    status: str
    url: str
    items: Top[ReportItem]

    @property
    def critical(self) -> int:
        """Of the items that are listed."""
        return sum(item.status == Status.CRITICAL for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLine:
    """How many Namespaces a credential hurts: in all, and those where it is critical. `status` is its worst."""

    credential: str
    status: str
    namespaces: int
    critical: int
    url: str

    @property
    def label(self) -> str:
        return label_of(self.credential)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedScanLine:
    """Scans that failed alike, of the whole cluster (`namespace` "") or of one Namespace: how often, and when last."""

    namespace: str
    words: str
    times: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DayHealth:
    """The most critical Namespaces of a day (UTC); None when no scan ended well on it, which is not 0."""

    day: date
    critical: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Namespaces by their status now; what was seen too long ago is unknown."""

    critical: int = 0
    unknown: int = 0
    warning: int = 0
    ok: int = 0

    @property
    def total(self) -> int:
        return self.critical + self.unknown + self.warning + self.ok


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReport:
    """One cluster, of which an owner is told their Namespaces only.

    `namespaces` are those with something wrong, worst first. `new` got worse within the time of the report and is wrong
    still; `resolved` was wrong within it and is well, or gone. A Namespace that was seen too long ago is in `unseen`
    and in no other list; one that was read in part may be in others too. What someone has acknowledged or snoozed is in
    `acknowledged` alone. For operators only: `trend`, `credentials` by number of Namespaces hurt, `failed_scans`, and
    `is_failing`: the newest scan failed.
    """

    name: str
    url: str
    scanned_at: datetime | None
    counts: Counts
    namespaces: Top[NamespaceReport]
    new: Top[ReportItem] = field(default_factory=Top)
    resolved: Top[ReportItem] = field(default_factory=Top)
    expiring: Top[ReportItem] = field(default_factory=Top)
    acknowledged: Top[ReportItem] = field(default_factory=Top)
    unseen: Top[UnseenNamespace] = field(default_factory=Top)
    trend: tuple[DayHealth, ...] = ()
    credentials: Top[CredentialLine] = field(default_factory=Top)
    failed_scans: Top[FailedScanLine] = field(default_factory=Top)
    is_failing: bool = False

    @property
    def is_good(self) -> bool:
        """Everything was seen, and nothing is wrong but what someone has seen to."""
        return not (self.namespaces or self.unseen or self.is_failing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one mail tells. `reader` is the user name, or the address of who has none; `since` (inclusive) to `until`
    (exclusive) is the time it is about, and `until` is its "now".

    `settings_url` "" for who cannot sign in to it; `unsubscribe_url` takes the one-click POST of RFC 8058.
    """

    reader: str
    is_operator: bool
    clusters: tuple[ClusterReport, ...]
    since: datetime
    until: datetime
    frequency: str
    time_zone: str
    home_url: str
    settings_url: str
    unsubscribe_url: str

    @property
    def is_good(self) -> bool:
        return all(cluster.is_good for cluster in self.clusters)

    @property
    def counts(self) -> Counts:
        """Of all clusters together."""
        every = [cluster.counts for cluster in self.clusters]
        return Counts(
            critical=sum(one.critical for one in every),
            unknown=sum(one.unknown for one in every),
            warning=sum(one.warning for one in every),
            ok=sum(one.ok for one in every),
        )

    def day(self, at: datetime) -> str:
        """ "2026-11-23": the reader's day."""
        return at.astimezone(ZoneInfo(self.time_zone)).date().isoformat()

    def moment(self, at: datetime) -> str:
        """ "2026-11-23 09:00" on the reader's clock."""
        return at.astimezone(ZoneInfo(self.time_zone)).strftime("%Y-%m-%d %H:%M")
