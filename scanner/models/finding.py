"""What checks said, with a lifetime."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q

from scanner.models.namespace import Namespace, of_present


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self) -> FindingQuerySet:
        return self.filter(resolved_at=None)

    def worst_first(self) -> FindingQuerySet:
        return self.order_by("-rank", "code", "object", "credential")

    def of_namespace(self, namespace: Namespace) -> FindingQuerySet:
        return self.filter(namespace=namespace)

    def of_credential(self, namespace: Namespace, credential: str) -> FindingQuerySet:
        return self.filter(namespace=namespace, credential=credential)

    def within(self, namespaces: models.QuerySet[Namespace]) -> FindingQuerySet:
        """Those in `namespaces`, with what to say of where they are."""
        return self.filter(namespace__in=namespaces.order_by().values("pk")).select_related("namespace")

    def seen_by(self, user: Any) -> FindingQuerySet:
        """Those that may be told to `user`, who may see the Namespaces: only an operator is told of former ones of the
        same names."""
        return self if user.is_staff else self.filter(of_present("first_seen_at"))

    def resolved(self) -> FindingQuerySet:
        return self.filter(resolved_at__isnull=False)

    def of_code(self, code: str) -> FindingQuerySet:
        return self.filter(code=code)

    def of_status(self, status: str) -> FindingQuerySet:
        """As they were found: of a stale Namespace that says nothing about now."""
        return self.filter(status=status)

    def of_slug(self, credential: str) -> FindingQuerySet:
        return self.filter(credential=credential)

    def lately(self, since: datetime) -> FindingQuerySet:
        """Open, or resolved after `since`."""
        return self.filter(Q(resolved_at=None) | Q(resolved_at__gte=since))


class Finding(models.Model):
    """A problem with a lifetime. One row is open per (Namespace, code, object, credential); when the problem comes back
    after it was resolved, a new row opens, so the history stays."""

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="findings")
    code = models.CharField(max_length=4)
    object = models.CharField(max_length=320)
    credential = models.CharField(max_length=320, blank=True)
    status = models.CharField(max_length=10)
    rank = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=40)
    message = models.TextField()
    expires_at = models.DateTimeField(null=True)
    details = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["namespace", "code", "object", "credential"],
                condition=Q(resolved_at=None),
                name="finding_open_once",
            ),
        )
        indexes = (models.Index(F("resolved_at"), F("rank").desc(), name="finding_open_worst_first"),)

    def __str__(self) -> str:
        return f"{self.code} {self.object}"
