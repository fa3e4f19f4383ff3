"""What people changed through Credboard."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """Who changed what in a cluster through Credboard, and how it ended. Names only, never values; rows outlive what
    they speak of, so nothing here is a foreign key."""

    class Outcome(models.TextChoices):
        DONE = "done"
        REFUSED = "refused"
        FAILED = "failed"
        UNDONE = "undone"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    cluster = models.CharField(max_length=100)
    namespace = models.CharField(max_length=253)
    object = models.CharField(max_length=320)
    outcome = models.CharField(max_length=10)
    message = models.CharField(max_length=1000, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]  # noqa: RUF012 (a tuple would be another migration)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.namespace}/{self.object}: {self.outcome}"
