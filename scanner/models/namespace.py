"""A Namespace as scans saw it, and the questions that the matrix asks about many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import connection, models
from django.db.models import Case, Count, Exists, ExpressionWrapper, F, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Collate

from scanner.check import Status, rank
from scanner.models.cell import Cell, Credential
from scanner.models.cluster import Cluster
from scanner.models.freshness import Freshness
from scanner.models.owner import NamespaceOwner
from scanner.models.scan import Scan
from scanner.staleness import is_stale

HURT: Final = tuple(status for status in Status if status is not Status.OK)
#: Without one of these in a Namespace, a credential may be missing there without a word.
BLINDING: Final = ["secrets", "pods", "serviceaccounts"]


def of_present(at: str) -> Q:
    """Of rows about Namespaces those that were written, at the time in their column `at`, of the present one: another
    of the same name may have been there before."""
    return Q(namespace__began_at=None) | Q((f"{at}__gte", F("namespace__began_at")))


class NamespaceQuerySet(models.QuerySet["Namespace"]):
    def present(self) -> NamespaceQuerySet:
        return self.filter(gone_at=None)

    def due(self, now: datetime) -> NamespaceQuerySet:
        return self.filter(next_scan_at__lte=now, gone_at=None)

    def visible_to(self, user: Any) -> NamespaceQuerySet:
        """The Namespaces that `user` may see: all for an operator, else those that name the person or a group."""
        if user.is_staff:
            return self.present()
        return self.present().filter(pk__in=NamespaceOwner.objects.naming(user).values("namespace"))

    def judged(
        self, cluster: Cluster, *, now: datetime, credential: str = "", any_stale: bool = True
    ) -> NamespaceQuerySet:
        """Those of `cluster` with `rank_now` and `critical_now`: what was seen too long ago is unknown (`status_at`).

        With a `credential` only those that need it, and `rank_now` is the rank of its cell. `any_stale` False promises
        that none is stale; the database can then sort by its index.
        """
        rows = self.filter(cluster=cluster)
        stored = F("rank")
        if credential:
            rows = rows.filter(cells__credential__slug=credential, cells__credential__cluster=cluster)
            stored = F("cells__rank")  # of the same join
        if not any_stale:
            return rows.annotate(rank_now=stored, critical_now=F("critical_cells"))
        unseen, number = cluster.unseen(now), models.IntegerField()
        return rows.annotate(
            rank_now=Case(When(unseen, then=Value(rank(Status.UNKNOWN))), default=stored, output_field=number),
            critical_now=Case(When(unseen, then=Value(0)), default=F("critical_cells"), output_field=number),
        )

    def matching(self, text: str) -> NamespaceQuerySet:
        """Those whose name, a label or an owner contains every word of `text`."""
        # Kubernetes lets only ASCII into both, and to fold the case of any language takes PostgreSQL twice as long.
        by_bytes = "C" if connection.vendor == "postgresql" else "BINARY"
        rows = self.annotate(
            name_text=Collate("name", by_bytes), labels_text=Collate(Cast("labels", models.TextField()), by_bytes)
        )
        for word in text.split()[:8]:
            owned = NamespaceOwner.objects.filter(name__icontains=word).values("namespace")
            rows = rows.filter(Q(name_text__icontains=word) | Q(labels_text__icontains=word) | Q(pk__in=owned))
        return rows

    def owned_by(self, name: str) -> NamespaceQuerySet:
        return self.filter(pk__in=NamespaceOwner.objects.filter(name__iexact=name).values("namespace"))

    def labelled(self, label: str) -> NamespaceQuerySet:
        """Those with the label "key=value", or with any value for "key"."""
        key, equals, value = label.partition("=")
        if not equals:
            return self.filter(labels__has_key=key)
        return self.annotate(label_value=Cast(KeyTextTransform(key, "labels"), models.TextField())).filter(
            label_value=value
        )

    def with_reason(self, reason: str, *, now: datetime, cluster: Cluster, credential: str = "") -> NamespaceQuerySet:
        """Those with this reason now, themselves or in a cell (of `credential`, if given); "stale" are the too old."""
        unseen = cluster.unseen(now)
        if reason == "stale":
            return self.filter(unseen)
        columns = Credential.objects.filter(cluster=cluster, **({"slug": credential} if credential else {}))
        # Every status is named, so that the index leads to the reason.
        cells = Cell.objects.filter(credential__in=columns.values("pk"), status__in=list(Status), reason=reason)
        told = Q(pk__in=cells.values("namespace"))
        if not credential:
            told |= Q(reason=reason)
            if reason == "not-checked":
                told |= Q(is_blind=True)
        return self.filter(~unseen, told)

    def with_status_now(self, status: str) -> NamespaceQuerySet:
        """Of `judged` ones."""
        return self.filter(Q(("rank_now", rank(status))))

    def tallies(
        self, cluster: Cluster, *, now: datetime, settled: models.QuerySet[Any, Any] | None = None
    ) -> dict[str, int]:
        """How many of `judged` ones have each status now, how many could not be read in full ("unreadable"), and
        whether any Namespace of `cluster` is stale ("any_stale", 0 or 1; None when there is nothing to count).

        "critical_settled" and so on, but for what is well, are how many are among `settled`, keys of Namespaces.
        """
        stale = Namespace.objects.present().filter(cluster.unseen(now), cluster=cluster)
        asked: dict[str, Any] = {
            "number": Count("pk"),
            "blind": Count("pk", filter=Q(is_blind=True)),
            "any_stale": models.Max(Cast(Exists(stale), models.IntegerField())),
        }
        if settled is not None:
            asked["settled"] = Count("pk", filter=Q(pk__in=settled))
        told: dict[str, Any] = {status.value: 0 for status in Status}
        told |= {f"{status}_settled": 0 for status in HURT} | {"unreadable": 0, "any_stale": None}
        names = {rank(status): status for status in Status}
        # By rank, where an aggregate for each of them would have Django wrap the query and take twice as long.
        lines: models.QuerySet[Any, Any] = self.order_by().values(place=F("rank_now")).annotate(**asked)
        for line in lines:
            status = names[line["place"]]
            told[status.value] = line["number"]
            told["unreadable"] += line["blind"]
            told["any_stale"] = line["any_stale"]
            if status is not Status.OK:
                told[f"{status}_settled"] = line.get("settled", 0)
        return told

    def but(self, settled: models.QuerySet[Any, Any]) -> NamespaceQuerySet:
        """Of `judged` ones: without those with a key in `settled`, unless they are well."""
        return self.exclude(Q(("rank_now__gt", rank(Status.OK))), pk__in=settled)

    def worst_first(self) -> NamespaceQuerySet:
        """Of `judged` ones: then most critical cells first, then by name."""
        order = ("-rank_now", "-critical_now", "name")
        return self.order_by(*order)

    def matrix_rows(self) -> models.QuerySet[Any, Any]:
        """Dicts of what a row of the matrix shows: `owner` is one of the owners (people before groups) or None,
        `owner_count` how many there are or None."""
        owners = NamespaceOwner.objects.filter(namespace=OuterRef("pk"))
        number = owners.order_by().values("namespace").annotate(number=Count("*")).values("number")
        return self.values(
            "pk", "name", "status", "reason", "scanned_at", "unreadable",
            owner=Subquery(owners.order_by("-kind", "name").values("name")[:1]),
            owner_count=Subquery(number),
        )  # fmt: skip

    def among(self, keys: models.QuerySet[Any, Any]) -> NamespaceQuerySet:
        return self.filter(pk__in=keys)

    def with_keys(self, keys: list[int]) -> NamespaceQuerySet:
        return self.filter(pk__in=keys)

    def of_cluster(self, cluster: Cluster) -> NamespaceQuerySet:
        return self.filter(cluster=cluster)

    def named(self, names: list[str]) -> NamespaceQuerySet:
        return self.filter(name__in=names)

    def of_clusters(self, clusters: Iterable[int]) -> NamespaceQuerySet:
        return self.filter(cluster__in=list(clusters))

    def hurry(self, *, now: datetime) -> int:
        """Make scans of these due at `now`, unless they are. How many became so."""
        waiting = self.filter(Q(next_scan_at=None) | Q(next_scan_at__gt=now), gone_at=None)
        return waiting.update(next_scan_at=now)

    def appear(self, cluster: int, names: list[str]) -> None:
        """Have rows for Namespaces that came into being, or back: unknown until they are scanned."""
        self.bulk_create((Namespace(cluster_id=cluster, name=name) for name in names), ignore_conflicts=True)
        self.filter(cluster=cluster, name__in=names).exclude(gone_at=None).update(gone_at=None, scanned_at=None)

    def in_cluster(self, cluster: str, name: str) -> Namespace | None:
        """The one called `name` in the cluster called `cluster`, with its cluster and owners."""
        return self.filter(cluster__name=cluster, name=name).select_related("cluster").with_owners().first()

    def with_owners(self) -> NamespaceQuerySet:
        """With the owners of all in one more query."""
        return self.prefetch_related("owners")

    def needing(self, credential: str) -> NamespaceQuerySet:
        return self.filter(pk__in=Cell.objects.filter(credential__slug=credential).values("namespace"))

    def with_status_at(self, status: str, fresh: Freshness, *, credential: str = "") -> NamespaceQuerySet:
        """Those with this status at `fresh.now`, of whatever cluster; with a `credential`, whose cell of it has."""
        told = Q(status=status)
        if credential:
            told = Q(pk__in=Cell.objects.filter(credential__slug=credential, status=status).values("namespace"))
        return self.filter(~fresh.seen() | told if status == Status.UNKNOWN else fresh.seen() & told)

    def with_reason_at(self, reason: str, fresh: Freshness, *, credential: str = "") -> NamespaceQuerySet:
        """As `with_reason`, of whatever cluster."""
        if reason == "stale":
            return self.filter(~fresh.seen())
        slug = {"slug": credential} if credential else {}
        columns = Credential.objects.filter(cluster__in=list(fresh.clusters), **slug)
        cells = Cell.objects.filter(credential__in=columns.values("pk"), status__in=list(Status), reason=reason)
        told = Q(pk__in=cells.values("namespace"))
        if not credential:
            told |= Q(reason=reason)
            if reason == "not-checked":
                told |= Q(is_blind=True)
        return self.filter(fresh.seen(), told)


class Namespace(models.Model):
    """A Namespace as its last good scan saw it; `scanned_at` is when. Its status now is `status_at`."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="namespaces", db_index=False)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64, blank=True)
    labels = models.JSONField(default=dict)
    status = models.CharField(max_length=10, default=Status.UNKNOWN)
    rank = models.PositiveSmallIntegerField(default=rank(Status.UNKNOWN))
    reason = models.CharField(max_length=40, default="not-checked")
    critical_cells = models.PositiveIntegerField(default=0)
    # resource -> why the API refused it, and code of a check -> why it could not be asked
    unreadable = models.JSONField(default=dict)
    is_blind = models.GeneratedField(
        expression=ExpressionWrapper(Q(unreadable__has_any_keys=BLINDING), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    unasked = models.JSONField(default=dict)
    # for `Elsewhere` of a later scan of one namespace: pull Secrets here with their registry keys; fingerprints
    pull_secrets = models.JSONField(default=dict)
    fingerprints = models.JSONField(default=list)
    service_accounts = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True)
    scanned_at = models.DateTimeField(null=True)
    next_scan_at = models.DateTimeField(null=True, db_index=True)
    # The scan of the whole cluster that made this one due and waits for it.
    handed_out_by = models.ForeignKey(Scan, on_delete=models.SET_NULL, null=True, related_name="+")
    gone_at = models.DateTimeField(null=True)
    # Since when the present one, by its uid, is known. What is older is of another one that had this name, and for
    # operators only. None in rows of before there was this column.
    began_at = models.DateTimeField(null=True)

    objects = NamespaceQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["cluster", "name"], name="namespace_once_per_cluster"),)
        indexes = (
            # Sorts the matrix and counts its statuses, also where some are stale, from the index alone.
            models.Index(
                fields=["cluster", "gone_at", "-rank", "-critical_cells", "name", "scanned_at", "is_blind"],
                name="namespace_worst_first",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def is_stale(self, now: datetime) -> bool:
        return is_stale(self.scanned_at, now=now, after=self.cluster.stale_after)

    def status_at(self, now: datetime) -> Status:
        """Status as it must be shown at `now`: what was seen too long ago is unknown."""
        return Status.UNKNOWN if self.is_stale(now) else Status(self.status)

    def claim_scan(self) -> bool:
        """Take the due scan of this Namespace. False: someone else did."""
        return Namespace.objects.filter(pk=self.pk, next_scan_at=self.next_scan_at).update(next_scan_at=None) == 1

    def report_back(self) -> Scan | None:
        """The scan that handed this Namespace out, told to one caller only; None for all others."""
        scan = Scan.objects.filter(pk__in=Namespace.objects.filter(pk=self.pk).values("handed_out_by")).first()
        told = Namespace.objects.filter(pk=self.pk, handed_out_by=scan).update(handed_out_by=None) if scan else 0
        return scan if told else None
