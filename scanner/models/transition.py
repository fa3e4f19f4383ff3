"""How cells changed: what alerts, reports and the history of a cell are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import models

from scanner.models.cell import Credential
from scanner.models.cluster import Cluster
from scanner.models.namespace import Namespace, of_present

#: The status "before" or "after" of a cell that is not there: nothing in the Namespace needs the credential.
NO_CELL: Final = ""


class TransitionQuerySet(models.QuerySet["Transition"]):
    def of_cluster(self, cluster: Cluster) -> TransitionQuerySet:
        return self.filter(namespace__cluster=cluster)

    def of_cell(self, namespace: Namespace, credential: str) -> TransitionQuerySet:
        return self.filter(namespace=namespace, credential__slug=credential)

    def between(self, since: datetime, until: datetime) -> TransitionQuerySet:
        """Those at or after `since` and before `until`."""
        return self.filter(at__gte=since, at__lt=until)

    def of_present(self) -> TransitionQuerySet:
        """Without those of former Namespaces of the same names."""
        return self.filter(of_present("at"))

    def seen_by(self, user: Any) -> TransitionQuerySet:
        """Those that may be told to `user`, who may see the Namespaces: only an operator is told of former ones."""
        return self if user.is_staff else self.of_present()

    def after(self, pk: int) -> TransitionQuerySet:
        """Those recorded later than the one with `pk`, in the order in which they were recorded."""
        return self.filter(pk__gt=pk).order_by("pk")


class Transition(models.Model):
    """A cell got another status or reason, at the beginning of the scan that saw it.

    Status "" (`NO_CELL`) before: the cell is new; after: nothing needs the credential any more, or the Namespace is
    gone. What the first scan of a cluster finds is not a change, nor is a cell that comes or goes while it is well.
    Staleness is none either: it is computed when rows are read.
    """

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="transitions", db_index=False)
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    status_before = models.CharField(max_length=10, blank=True)
    reason_before = models.CharField(max_length=40, blank=True)
    status_after = models.CharField(max_length=10, blank=True)
    reason_after = models.CharField(max_length=40, blank=True)

    objects = TransitionQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=["namespace", "credential", "-at"], name="transition_of_cell"),
            models.Index(fields=["at"], name="transition_at"),
        )

    def __str__(self) -> str:
        before, after = self.status_before or "no cell", self.status_after or "no cell"
        return f"{self.namespace_id} × {self.credential_id}: {before} → {after}"
