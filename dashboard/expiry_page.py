"""The page of expiry: one clock for all that ends, as a list and as a calendar, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.db.models import Case, Count, F, IntegerField, Max, Min, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dashboard.drawer import ENDINGS
from dashboard.endings import DEFAULT_WITHIN, WITHIN, Ending, Endless, ExpiryFilters, Square, day_of
from dashboard.list_page import ListPage, address
from dashboard.matrix import kind_of
from dashboard.month import WEEKDAYS, Month
from scanner.check import Status, rank
from scanner.columns import label_of
from scanner.models import Cell, Cluster, Credential, Namespace

#: Most endings of a month that are looked at, and of a day that its square shows.
MOST_OF_MONTH: Final = 2_000
MOST_OF_DAY: Final = 3


class ExpiryPage(ListPage[ExpiryFilters]):
    """What ends in the Namespaces of `cluster` that `user` may see."""

    def __init__(
        self, cluster: Cluster, user: Any, filters: ExpiryFilters, *, cluster_in_url: str, now: datetime
    ) -> None:
        super().__init__(filters, path=reverse("expiry"), cluster_in_url=cluster_in_url)
        self.cluster = cluster
        self.now = now
        self._visible = Namespace.objects.visible_to(user).of_cluster(cluster)
        self.today = timezone.localtime(now).date()

    within_choices = WITHIN
    weekdays = WEEKDAYS

    @property
    def within(self) -> str:
        return self.filters.within or DEFAULT_WITHIN

    @property
    def within_words(self) -> str:
        return dict(WITHIN)[self.within]

    # What there is to choose from

    @cached_property
    def _slugs(self) -> list[str]:
        cells = Cell.objects.filter(namespace__in=self._visible.values("pk")).values("credential")
        return sorted(Credential.objects.filter(pk__in=cells).values_list("slug", flat=True), key=label_of)

    @property
    def credentials(self) -> list[tuple[str, str]]:
        return [(slug, label_of(slug)) for slug in self._slugs]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return sorted({(slug.partition("/")[0], kind_of(slug)) for slug in self._slugs}, key=lambda one: one[1])

    # Cells and endings

    @property
    def _chosen(self) -> QuerySet[Cell]:
        chosen = self.filters
        rows = Cell.objects.filter(namespace__in=self._visible.values("pk"))
        if chosen.credential:
            rows = rows.filter(credential__slug=chosen.credential)
        if chosen.kind:
            rows = rows.filter(Q(credential__slug=chosen.kind) | Q(credential__slug__startswith=f"{chosen.kind}/"))
        return rows

    def _endings(self, rows: QuerySet[Cell]) -> QuerySet[Cell, dict[str, Any]]:
        unseen = self.cluster.unseen(self.now, path="namespace__")
        # Of the end alone: a cell may be critical for something else, and end in a year. Where that is so no check's
        # word about the end is kept, and the usual thresholds tell.
        policy = settings.POLICY
        rank_now = Case(
            When(unseen, then=Value(rank(Status.UNKNOWN))),
            When(Q(reason__in=ENDINGS) | Q(status=Status.OK), then=F("rank")),
            When(expires_at__lt=self.now + policy.expiring_critical, then=Value(rank(Status.CRITICAL))),
            When(expires_at__lt=self.now + policy.expiring_warning, then=Value(rank(Status.WARNING))),
            default=Value(rank(Status.OK)),
            output_field=IntegerField(),
        )
        groups = rows.order_by().values("credential__slug", "expires_at", "expiry_source")
        told: Any = groups.annotate(
            worst=Max(rank_now),
            namespaces=Count("pk"),
            stale=Count("pk", filter=unseen),
            namespace_name=Min("namespace__name"),
        )
        ordered: QuerySet[Cell, dict[str, Any]] = told.order_by("expires_at", "credential__slug", "expiry_source")
        return ordered

    def _ending(self, found: Mapping[str, Any]) -> Ending:
        slug, at, name = found["credential__slug"], found["expires_at"], found["namespace_name"]
        by_rank = {rank(status): status for status in Status}
        alone = found["namespaces"] == 1
        return Ending(
            credential=slug,
            expires_at=at,
            source=found["expiry_source"],
            status=by_rank[found["worst"]],
            namespaces=found["namespaces"],
            stale=found["stale"],
            namespace=name,
            is_over=at <= self.now,
            url=reverse("cell", args=[self.cluster.name, name, slug])
            if alone
            else self.url(credential=slug, at=at.isoformat(), view="", day="", within="all"),
        )

    @cached_property
    def _in_list(self) -> QuerySet[Cell]:
        """What the list is about: until a date, of one day or of one moment."""
        rows = self._chosen.filter(expires_at__isnull=False)
        if self.moment is not None:
            return rows.filter(expires_at=self.moment)
        if day := day_of(self.filters.day):
            begin, end = self._span(day, day)
            return rows.filter(expires_at__gte=begin, expires_at__lt=end)
        if self.within == "all":
            return rows
        return rows.filter(expires_at__lt=self.now + timedelta(days=int(self.within)))

    def all_cells(self) -> QuerySet[Cell]:
        """All that the list is made of, over all pages, soonest first: for an export, which reads them one by one."""
        rows = self._in_list.select_related("credential", "namespace")
        return rows.order_by("expires_at", "namespace__name", "credential__slug")

    @staticmethod
    def _span(first: date, last: date) -> tuple[datetime, datetime]:
        """From the beginning of `first` to the end of `last`, in the reader's time zone."""
        begin = timezone.make_aware(datetime.combine(first, time.min))
        return begin, timezone.make_aware(datetime.combine(last + timedelta(days=1), time.min))

    @cached_property
    def moment(self) -> datetime | None:
        """The one moment that is asked for."""
        try:
            at = parse_datetime(self.filters.at)
        except ValueError:
            return None
        return at if at and at.tzinfo else None

    @property
    def day(self) -> date | None:
        return day_of(self.filters.day)

    @cached_property
    def length(self) -> int:
        return self._in_list.count() if self.moment else self._endings(self._in_list).count()

    @cached_property
    def endings(self) -> list[Ending]:
        return [self._ending(found) for found in self._endings(self._in_list)[self.span]]

    @cached_property
    def cells(self) -> list[tuple[str, str, Status, bool]]:
        """Of one moment: the Namespace, the URL of its cell, its status now, and whether it was seen too long ago."""
        rows = self._in_list.select_related("credential", "namespace").order_by("namespace__name", "credential__slug")
        told = []
        for cell in rows[self.span]:
            cell.namespace.cluster = self.cluster
            is_stale = cell.namespace.is_stale(self.now)
            url = reverse("cell", args=[self.cluster.name, cell.namespace.name, cell.credential.slug])
            told.append((cell.namespace.name, url, Status.UNKNOWN if is_stale else Status(cell.status), is_stale))
        return told

    # Calendar

    @cached_property
    def month(self) -> Month:
        return Month.read(self.filters.month, today=self.today)

    @cached_property
    def _of_month(self) -> list[Ending]:
        weeks = self.month.weeks
        begin, end = self._span(weeks[0][0], weeks[-1][-1])
        rows = self._chosen.filter(expires_at__gte=begin, expires_at__lt=end)
        return [self._ending(found) for found in self._endings(rows)[:MOST_OF_MONTH]]

    @property
    def weeks(self) -> list[list[Square]]:
        by_day: dict[date, list[Ending]] = {}
        for ending in self._of_month:
            by_day.setdefault(timezone.localtime(ending.expires_at).date(), []).append(ending)
        return [[self._square(day, by_day.get(day, [])) for day in week] for week in self.month.weeks]

    def _square(self, day: date, endings: list[Ending]) -> Square:
        return Square(
            day=day,
            is_of_month=day.month == self.month.month,
            is_today=day == self.today,
            endings=tuple(endings[:MOST_OF_DAY]),
            more=len(endings) - MOST_OF_DAY if len(endings) > MOST_OF_DAY else 0,
            url=self.url(view="", month="", day=str(day)),
        )

    @property
    def is_cut(self) -> bool:
        """True when the month holds more than is looked at."""
        return len(self._of_month) >= MOST_OF_MONTH

    # What has no end

    @cached_property
    def endless(self) -> list[Endless]:
        """Per credential, those that say they never end apart from those of which nothing tells."""
        rows = self._chosen.filter(expires_at=None).order_by().values("credential__slug")
        told = rows.annotate(cells=Count("pk"), never=Count("pk", filter=Q(details__never_expires=True)))
        matrix = reverse("matrix")
        return [
            Endless(
                label=label_of(found["credential__slug"]),
                kind=kind_of(found["credential__slug"]),
                url=address(matrix, {"cluster": self.cluster.name, "credential": found["credential__slug"]}),
                never=found["never"],
                unknown=found["cells"] - found["never"],
            )
            for found in sorted(told, key=lambda one: (-one["cells"], label_of(one["credential__slug"])))
        ]

    @property
    def never(self) -> int:
        return sum(one.never for one in self.endless)

    @property
    def unknown(self) -> int:
        return sum(one.unknown for one in self.endless)

    # Where it leads

    @property
    def plain_url(self) -> str:
        return self.url(credential="", kind="", within="", day="", at="")

    @property
    def tabs(self) -> list[tuple[str, str, bool]]:
        """Label, URL and whether it is what is shown now."""
        views = (("List", ""), ("Calendar", "calendar"), ("Without an end", "none"))
        here = self.filters.view
        return [(label, self.url(view=view, day="", at="", month=""), view == here) for label, view in views]

    @property
    def month_before_url(self) -> str:
        return self.url(month=str(self.month.before))

    @property
    def month_after_url(self) -> str:
        return self.url(month=str(self.month.after))

    @property
    def this_month_url(self) -> str:
        return self.url(month="")

    @property
    def endless_url(self) -> str:
        return self.url(view="none", day="", at="", month="")

    @property
    def csv_url(self) -> str:
        """What the list is made of, over all pages, as CSV."""
        within = self.filters.within or ("all" if self.filters.view else "")
        return self.url(path=reverse("export", args=["expiry"]), view="", month="", within=within)

    @property
    def headline(self) -> str:
        if self.filters.view == "calendar":
            return self.month.title
        if self.filters.view == "none":
            return "Without a known end"
        number = f"{self.length} ending{'' if self.length == 1 else 's'}"
        if self.moment:
            number = f"{self.length} Namespace{'' if self.length == 1 else 's'}"
            return f"{label_of(self.filters.credential)} ends in {number}"
        if self.day:
            return f"{number} on {self.day:%d %B %Y}"
        return number if self.within == "all" else f"{number} within {self.within_words}"

    @property
    def state(self) -> tuple[object, ...]:
        """All that the page shows, for a poll to tell whether anything changed."""
        if self.filters.view == "calendar":
            return (self.own_url, self._of_month, self.today)
        if self.filters.view == "none":
            return (self.own_url, self.endless)
        return (self.own_url, self.length, self.cells if self.moment else self.endings)
