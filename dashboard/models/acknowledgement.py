"""What people know already and do not want to be told again, for a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from django.db import connection, models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from scanner.check import Status
from scanner.models import Cell, Cluster, Freshness, Namespace, NamespaceQuerySet, of_present

#: Longest reason that a person may give, in characters.
MAX_NOTE: Final = 500


class AcknowledgementQuerySet(models.QuerySet["Acknowledgement"]):
    def in_force(self, now: datetime) -> AcknowledgementQuerySet:
        """Those that still hold at `now`: not ended by a person or their date.

        Unless it is a snooze, the cell must have been in the acknowledged state ever since: one that was well in
        between is news. A snooze is of one Namespace, and none of another that gets its name.
        """
        same = Cell.objects.filter(
            namespace=OuterRef("namespace"),
            credential__slug=OuterRef("credential"),
            status=OuterRef("status"),
            reason=OuterRef("reason"),
            since__lte=OuterRef("created_at"),
        )
        holds = Q(is_snooze=True) & of_present("created_at") | Exists(same)
        return self.filter(holds, ended_at=None, until__gt=now)

    def seen_by(self, user: Any) -> AcknowledgementQuerySet:
        """Those that may be told to `user`, who may see the Namespaces: only an operator is told of former ones of the
        same names."""
        return self if user.is_staff else self.filter(of_present("created_at"))

    def covered(self, namespaces: Iterable[Namespace | int], *, now: datetime) -> set[tuple[int, str]]:
        """(pk of the Namespace, credential) of the cells in `namespaces` that an acknowledgement in force covers."""
        found = self.in_force(now).filter(namespace__in=namespaces)
        return set(found.values_list("namespace_id", "credential"))

    def within(self, namespaces: NamespaceQuerySet) -> AcknowledgementQuerySet:
        """Those of `namespaces`, with these."""
        return self.filter(namespace__in=namespaces.order_by().values("pk")).select_related("namespace__cluster")

    def of_credential(self, credential: str) -> AcknowledgementQuerySet:
        return self.filter(credential=credential)

    def keyed(self, pk: int) -> Acknowledgement | None:
        return self.filter(pk=pk).first()

    def of_cell(self, namespace: Namespace, credential: str) -> AcknowledgementQuerySet:
        """Every one of the cell, the newest first."""
        return self.filter(namespace=namespace, credential=credential).order_by("-created_at", "-pk")

    def of_namespace(self, namespace: Namespace) -> AcknowledgementQuerySet:
        return self.filter(namespace=namespace)

    def visible_to(self, user: Any) -> AcknowledgementQuerySet:
        """Those of the Namespaces that `user` may see."""
        seen = self.filter(namespace__in=Namespace.objects.visible_to(user)).seen_by(user)
        return seen.select_related("namespace__cluster")

    def over_cells(self, now: datetime, *, namespace: str, credential: str) -> AcknowledgementQuerySet:
        """Those in force for the outer query's cell, whose Namespace's pk and credential are the fields named: for
        `Exists` and `Subquery`."""
        return self.in_force(now).filter(namespace=OuterRef(namespace), credential=OuterRef(credential))

    def settled_namespaces(self, now: datetime, *, among: NamespaceQuerySet) -> models.QuerySet[Any, Any]:
        """Primary keys of those of `among` that have something to repair, and nothing that nobody has seen to.

        Every cell that is not well is covered, and what the Namespace is called ("critical") is what such a cell is.
        One that could not be read in full is never settled: nobody knows what there is to see to. Staleness is for the
        caller to look at.
        """
        own = self.over_cells(now, namespace="namespace_id", credential="credential__slug")
        hurt = Cell.objects.filter(namespace=OuterRef("pk")).exclude(status=Status.OK)
        # Where to look; whether they are in force is asked of each cell.
        named = self.filter(ended_at=None, until__gt=now).order_by().values("namespace")
        found = among.filter(Exists(hurt.filter(rank=OuterRef("rank"))), ~Exists(hurt.filter(~Exists(own))))
        return found.filter(pk__in=named, is_blind=False).values("pk")

    def settled_cells(self, now: datetime, cluster: Cluster, credential: str) -> models.QuerySet[Any, Any]:
        """Primary keys of the Namespaces of `cluster` whose cell of `credential` is covered."""
        found = self.in_force(now).filter(namespace__cluster=cluster, credential=credential)
        return found.order_by().values("namespace")

    def close(self, cells: Collection[tuple[int, str]], *, actor: str, now: datetime) -> None:
        """End what is open for `cells`, (pk of the Namespace, credential); what its date has ended, as of that date."""
        rows = self.filter(namespace__in={namespace for namespace, _ in cells}, ended_at=None)
        found = rows.values_list("pk", "namespace_id", "credential")
        left = self.filter(pk__in=[pk for pk, namespace, credential in found if (namespace, credential) in cells])
        left.filter(until__lte=now).update(ended_at=F("until"))
        left.filter(until__gt=now).update(ended_at=now, ended_by=actor)

    def to_plan(self, fresh: Freshness) -> AcknowledgementQuerySet:
        """Those that ended by `fresh.now`, and whose end the planner of alerts has not looked at, the first end first.

        Where the Namespace is stale nothing can be said yet. Rows that somebody else holds are left for the next time,
        so that the planner and people who acknowledge never wait for each other in a circle.
        """
        over = Q(until__lte=fresh.now) | Q(ended_at__lte=fresh.now)
        told = fresh.seen("namespace__") | Q(namespace__gone_at__isnull=False)
        skip = connection.features.has_select_for_update_skip_locked
        rows = self.filter(over, told, is_end_planned=False).order_by("until", "pk")
        return rows.select_for_update(skip_locked=skip, of=("self",) if skip else ())

    def end(self, pk: int, *, actor: str, now: datetime) -> bool:
        """False: it has ended already."""
        return self.filter(pk=pk, ended_at=None, until__gt=now).update(ended_at=now, ended_by=actor) == 1


class Acknowledgement(models.Model):
    """A cell that a person has seen to. Until `until` alerts are silent about it, and pages and mails set it apart.

    An acknowledgement is of one state: it ends as soon as the cell has another status or reason than `status` and
    `reason`. A snooze (`is_snooze`) lasts whatever the cell does. Neither changes the status of the cell. Nothing has
    to run for one to end: whether it holds is computed when it is read (`in_force`). `status` and `reason` are those
    that the last scan stored, also where that scan is too old to be believed.
    """

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="acknowledgements", db_index=False)
    credential = models.CharField(max_length=320)
    is_snooze = models.BooleanField(default=False)
    status = models.CharField(max_length=10)
    reason = models.CharField(max_length=40)
    note = models.CharField(max_length=MAX_NOTE, help_text="Why, in the person's words.")
    actor = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=254, blank=True)
    # Whether the planner of alerts has looked at what the cell is now that this is over.
    is_end_planned = models.BooleanField(default=False)

    objects = AcknowledgementQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["namespace", "credential"], condition=Q(ended_at=None), name="acknowledgement_open_once"
            ),
        )
        indexes = (
            models.Index(fields=["namespace", "credential", "until"], name="acknowledgement_of_cell"),
            models.Index(fields=["until"], name="acknowledgement_to_plan", condition=Q(is_end_planned=False)),
        )

    def __str__(self) -> str:
        return f"{self.actor}: {self.namespace_id} × {self.credential} until {self.until:%Y-%m-%d}"

    @property
    def over_at(self) -> datetime:
        """When a person or its date ends it, whatever the cell does."""
        return self.until if self.ended_at is None else self.ended_at

    @property
    def verb(self) -> str:
        return "snoozed" if self.is_snooze else "acknowledged"
