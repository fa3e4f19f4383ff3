"""What people know already and do not want to be told again, for a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from scanner.models import Cell, Namespace


class AcknowledgementQuerySet(models.QuerySet["Acknowledgement"]):
    def in_force(self, now: datetime) -> AcknowledgementQuerySet:
        """Those that still hold at `now`: not ended by a person or their date, and, but for snoozed ones, whose cell is
        in the state that was acknowledged."""
        same = Cell.objects.filter(
            namespace=OuterRef("namespace"),
            credential__slug=OuterRef("credential"),
            status=OuterRef("status"),
            reason=OuterRef("reason"),
        )
        return self.filter(Q(is_snooze=True) | Exists(same), ended_at=None, until__gt=now)

    def covered(self, namespaces: Iterable[Namespace | int], *, now: datetime) -> set[tuple[int, str]]:
        """(pk of the Namespace, credential) of the cells in `namespaces` that an acknowledgement in force covers."""
        found = self.in_force(now).filter(namespace__in=namespaces)
        return set(found.values_list("namespace_id", "credential"))


class Acknowledgement(models.Model):
    """A cell that a person has seen to. Until `until` alerts are silent about it, and pages and mails set it apart.

    An acknowledgement is of one state: it ends as soon as the cell has another status or reason than `status` and
    `reason`. A snooze (`is_snooze`) lasts whatever the cell does. Neither changes the status of the cell.
    """

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="acknowledgements")
    credential = models.CharField(max_length=320)
    is_snooze = models.BooleanField(default=False)
    status = models.CharField(max_length=10)
    reason = models.CharField(max_length=40)
    note = models.CharField(max_length=500, help_text="Why, in the person's words.")
    actor = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=254, blank=True)

    objects = AcknowledgementQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=["namespace", "credential", "until"], name="acknowledgement_of_cell"),)

    def __str__(self) -> str:
        return f"{self.actor}: {self.namespace_id} × {self.credential} until {self.until:%Y-%m-%d}"
