"""How Credboard reaches each cluster, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models

from scanner.encryption import EncryptedField, decrypt
from scanner.models.cluster import Cluster
from scanner.pasted_kubeconfig import Access

#: So long before its token or certificate ends people are warned.
WARN_BEFORE: Final = timedelta(days=14)


class ClusterAccessQuerySet(models.QuerySet["ClusterAccess"]):
    def stored(self) -> ClusterAccessQuerySet:
        """Those whose kubeconfig is in the database."""
        return self.exclude(kubeconfig=b"")

    def kubeconfig_of(self, cluster: Cluster) -> str:
        """The kubeconfig that is stored for `cluster`, "" when none is. Raises `encryption.CannotDecrypt`."""
        stored = self.filter(cluster=cluster).values_list("kubeconfig", flat=True).first()
        return decrypt(stored) if stored else ""

    def note(self, cluster: Cluster, access: Access) -> None:
        """Write down what a kubeconfig says of itself, if it is news."""
        told: dict[str, str | bool | datetime | None] = {
            "context": access.context,
            "server": access.server,
            "user": access.user,
            "expires_at": access.expires_at,
            "is_unverified": access.is_unverified,
        }
        if not self.filter(cluster=cluster, **told).exists():
            self.update_or_create(cluster=cluster, defaults=told)


class ClusterAccess(models.Model):
    """What may be told of a cluster's kubeconfig, and the kubeconfig itself (encrypted) where a page stored it.

    A row of its own, so that pages that show a cluster's name do not read the kubeconfig along.
    """

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, primary_key=True, related_name="access")
    kubeconfig = EncryptedField(default=b"", blank=True)
    context = models.CharField(max_length=253, blank=True)
    server = models.CharField(max_length=300, blank=True)
    user = models.CharField(max_length=253, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    is_unverified = models.BooleanField(default=False)

    objects = ClusterAccessQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user} at {self.server}"

    @property
    def is_stored(self) -> bool:
        return bool(self.kubeconfig)

    def ends_soon(self, now: datetime) -> bool:
        """True from two weeks before the end of its token or certificate on."""
        return self.expires_at is not None and self.expires_at <= now + WARN_BEFORE
