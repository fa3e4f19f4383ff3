"""The page of findings: what its URL asks for, and the causes or findings that answer it, in a constant number of
queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.db.models import Case, Count, Exists, F, IntegerField, Max, Min, OuterRef, Q, QuerySet, Value, When
from django.urls import reverse

from dashboard.acknowledging import MOST_AT_ONCE
from dashboard.list_page import ListFilters, ListPage, clean, one_of, page_number
from dashboard.models import Acknowledgement
from scanner.check import Check, Status, all_checks, rank
from scanner.columns import label_of
from scanner.models import Cell, Cluster, Finding, Namespace

#: How long a finding counts as resolved lately, in days.
LATELY: Final = 30
#: Most causes that are told apart. A cluster has a few hundred; more are a sign of hostile names.
MOST_CAUSES: Final = 2_000
STATUSES: Final = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)
#: `credential` in the URL of findings that are of none.
NO_CREDENTIAL: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFilters(ListFilters):
    """What the findings can be narrowed to, grouped or one by one."""

    q: str = ""
    status: str = ""
    code: str = ""
    credential: str = ""
    reason: str = ""
    acknowledged: str = ""
    group: str = ""
    tab: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> FindingFilters:
        text = {name: clean(query.get(name, "")) for name in ("q", "code", "credential", "reason")}
        return cls(
            status=one_of(query.get("status", ""), tuple(str(status) for status in STATUSES)),
            acknowledged=one_of(query.get("acknowledged", ""), ("hide", "only")),
            group=one_of(query.get("group", ""), ("no",)),
            tab=one_of(query.get("tab", ""), ("resolved",)),
            page=page_number(query),
            **text,
        )

    @property
    def active(self) -> bool:
        return any((self.q, self.status, self.code, self.credential, self.reason, self.acknowledged))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Findings of one check, credential and reason: the same cause, told once. `settled` and `stale` are how many of
    the `namespaces` have it acknowledged, and were seen too long ago."""

    code: str
    credential: str
    reason: str
    status: Status
    namespaces: int
    findings: int
    since: datetime
    message: str
    settled: int
    stale: int
    url: str
    acknowledge_url: str

    @property
    def label(self) -> str:
        return label_of(self.credential) if self.credential else ""

    @property
    def check(self) -> Check | None:
        return all_checks().get(self.code)

    @property
    def title(self) -> str:
        """The message where there is one finding, else what its check is about."""
        return self.message if self.findings == 1 or self.check is None else self.check.summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding with where it leads."""

    finding: Finding
    status: Status
    is_stale: bool
    is_acknowledged: bool
    namespace_url: str
    cell_url: str

    @property
    def label(self) -> str:
        return label_of(self.finding.credential) if self.finding.credential else ""


class FindingsPage(ListPage[FindingFilters]):
    """The findings of `cluster` in the Namespaces that `user` may see."""

    def __init__(
        self, cluster: Cluster, user: Any, filters: FindingFilters, *, cluster_in_url: str, now: datetime
    ) -> None:
        super().__init__(filters, path=reverse("findings"), cluster_in_url=cluster_in_url)
        self.cluster = cluster
        self._now = now
        self._user = user
        self._visible = Namespace.objects.visible_to(user).of_cluster(cluster)

    @property
    def is_grouped(self) -> bool:
        return not self.filters.group

    @property
    def is_resolved(self) -> bool:
        return self.filters.tab == "resolved"

    @property
    def _unseen(self) -> Q:
        return self.cluster.unseen(self._now, path="namespace__")

    @cached_property
    def _all(self) -> QuerySet[Finding]:
        """Of this tab, with `rank_now`: what was seen too long ago is unknown."""
        rows = Finding.objects.filter(namespace__in=self._visible.values("pk")).seen_by(self._user)
        if self.is_resolved:
            return rows.filter(resolved_at__gte=self._now - timedelta(days=LATELY)).annotate(rank_now=F("rank"))
        stale = When(self._unseen, then=Value(rank(Status.UNKNOWN)))
        return rows.open().annotate(rank_now=Case(stale, default=F("rank"), output_field=IntegerField()))

    @property
    def _covered(self) -> Q:
        """Findings whose cell somebody has seen to; by Namespace first, since few have any."""
        own = Acknowledgement.objects.over_cells(self._now, namespace="namespace_id", credential="credential")
        return Q(namespace__in=Acknowledgement.objects.in_force(self._now).values("namespace")) & Q(Exists(own))

    @cached_property
    def _matching(self) -> QuerySet[Finding]:
        chosen = self.filters
        rows = self._all
        if chosen.q:
            where = Q(namespace__in=self._visible.matching(chosen.q).values("pk"))
            rows = rows.filter(where | Q(object__icontains=chosen.q) | Q(code__iexact=chosen.q))
        if chosen.status:
            rows = rows.filter(Q(("rank_now", rank(Status(chosen.status)))))
        for name in ("code", "credential", "reason"):
            if value := getattr(chosen, name):
                rows = rows.filter(**{name: "" if value == NO_CREDENTIAL else value})
        if chosen.acknowledged and not self.is_resolved:
            rows = rows.filter(self._covered) if chosen.acknowledged == "only" else rows.exclude(self._covered)
        return rows

    # What there is to choose from

    @property
    def statuses(self) -> tuple[Status, ...]:
        return STATUSES

    @cached_property
    def _kinds(self) -> list[tuple[str, str, str]]:
        kinds = self._all.order_by().values_list("code", "credential", "reason").distinct()
        return list(kinds[:MOST_CAUSES])

    @property
    def codes(self) -> list[tuple[str, str]]:
        checks = all_checks()
        found = sorted({code for code, _, _ in self._kinds})
        return [(code, f"{code} {checks[code].name}" if code in checks else code) for code in found]

    @property
    def credentials(self) -> list[tuple[str, str]]:
        return sorted({(slug, label_of(slug)) for _, slug, _ in self._kinds if slug}, key=lambda one: one[1])

    @property
    def reasons(self) -> list[str]:
        return sorted({reason for _, _, reason in self._kinds})

    # What could not be seen

    @cached_property
    def _sight(self) -> dict[str, int]:
        counts = {
            "stale": Count("pk", filter=self.cluster.unseen(self._now)),
            "blind": Count("pk", filter=Q(is_blind=True)),
        }
        return self._visible.aggregate(**counts)

    @property
    def stale(self) -> int:
        """Namespaces that were seen too long ago."""
        return self._sight["stale"]

    @property
    def blind(self) -> int:
        """Namespaces that could not be read in full."""
        return self._sight["blind"]

    # Causes

    @cached_property
    def _causes(self) -> list[dict[str, Any]]:
        groups = self._matching.order_by().values("code", "credential", "reason")
        told = groups.annotate(
            worst=Max("rank_now"),
            namespaces=Count("namespace", distinct=True),
            stale=Count("namespace", distinct=True, filter=self._unseen),
            findings=Count("pk"),
            since=Min("resolved_at" if self.is_resolved else "first_seen_at"),
            message=Min("message"),
        )
        ordered = told.order_by("-worst", "-namespaces", "code", "credential", "reason")
        return [dict(one) for one in ordered[:MOST_CAUSES]]

    @cached_property
    def _settled(self) -> dict[tuple[str, str, str], int]:
        if self.is_resolved:
            return {}
        groups = self._matching.filter(self._covered).order_by().values_list("code", "credential", "reason")
        told = groups.annotate(namespaces=Count("namespace", distinct=True))
        return {(code, credential, reason): count for code, credential, reason, count in told}

    @cached_property
    def causes(self) -> list[Cause]:
        """Those of this page."""
        by_rank = {rank(status): status for status in Status}
        shown = []
        for found in self._causes[self.span]:
            kind = {"code": found["code"], "credential": found["credential"], "reason": found["reason"]}
            asked = {**kind, "credential": kind["credential"] or NO_CREDENTIAL}
            can = bool(found["credential"]) and not self.is_resolved and found["worst"] != rank(Status.OK)
            shown.append(
                Cause(
                    **kind,
                    status=by_rank[found["worst"]],
                    namespaces=found["namespaces"],
                    findings=found["findings"],
                    since=found["since"],
                    message=found["message"],
                    settled=self._settled.get((found["code"], found["credential"], found["reason"]), 0),
                    stale=0 if self.is_resolved else found["stale"],
                    url=self.url(group="no", **asked),
                    acknowledge_url=self.url(path=reverse("findings-acknowledge"), **asked) if can else "",
                )
            )
        return shown

    # Findings, one by one

    @cached_property
    def rows(self) -> list[Row]:
        """Those of this page, the worst first; resolved ones the last first."""
        order = ("-resolved_at", "pk") if self.is_resolved else ("-rank_now", "code", "namespace__name", "object", "pk")
        cell = Cell.objects.filter(namespace=OuterRef("namespace"), credential__slug=OuterRef("credential"))
        own = Acknowledgement.objects.over_cells(self._now, namespace="namespace_id", credential="credential")
        found = self._matching.annotate(has_cell=Exists(cell), seen_to=Exists(own)).select_related("namespace")
        return [self._row(finding) for finding in found.order_by(*order)[self.span]]

    def all_rows(self) -> QuerySet[Finding]:
        """All that matches, over all pages, in the order of `rows`: for an export, which reads them one by one."""
        order = ("-resolved_at", "pk") if self.is_resolved else ("-rank_now", "code", "namespace__name", "object", "pk")
        return self._matching.select_related("namespace").order_by(*order)

    def _row(self, finding: Any) -> Row:
        namespace = finding.namespace
        namespace.cluster = self.cluster
        where = [self.cluster.name, namespace.name]
        is_stale = not self.is_resolved and namespace.is_stale(self._now)
        return Row(
            finding=finding,
            status=Status.UNKNOWN if is_stale else Status(finding.status),
            is_stale=is_stale,
            is_acknowledged=finding.seen_to and not self.is_resolved,
            namespace_url=reverse("namespace", args=where),
            cell_url=reverse("cell", args=[*where, finding.credential]) if finding.has_cell else "",
        )

    # Pages

    @cached_property
    def length(self) -> int:
        """How many causes, or findings where they are not grouped."""
        return len(self._causes) if self.is_grouped else self._matching.count()

    @property
    def headline(self) -> str:
        """How many findings are open, and of how many causes."""
        if not self.is_grouped:
            return _number(self.length, "finding")
        findings = sum(cause["findings"] for cause in self._causes)
        if not findings:
            return "No finding matches" if self.filters.active else "No findings"
        return f"{_number(findings, 'finding')}, {_number(self.length, 'cause')}"

    @property
    def plain_url(self) -> str:
        return self.url(q="", status="", code="", credential="", reason="", acknowledged="")

    @property
    def open_url(self) -> str:
        return self.url(tab="")

    @property
    def resolved_url(self) -> str:
        return self.url(tab="resolved", acknowledged="", status="")

    @property
    def csv_url(self) -> str:
        """What the page shows, over all pages, as CSV."""
        return self.url(path=reverse("export", args=["findings"]), group="")

    @property
    def state(self) -> tuple[object, ...]:
        """All that the page shows, for a poll to tell whether anything changed."""
        rows: list[Any] = self.causes if self.is_grouped else [
            (row.finding.pk, row.status, row.is_acknowledged, row.finding.message) for row in self.rows
        ]  # fmt: skip
        return (self.own_url, self.length, rows, sorted(self._sight.items()))

    # Acknowledging all of it

    @cached_property
    def cells(self) -> set[tuple[int, str]]:
        """(pk of the Namespace, credential) of what matches: all, or one more than can be acknowledged at once."""
        found = self._matching.exclude(credential="").order_by().values_list("namespace_id", "credential").distinct()
        return set(found[: MOST_AT_ONCE + 1])


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
