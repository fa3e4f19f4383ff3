"""The clusters that are scanned: when next, and by whom now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone

from scanner.models.owner import NamespaceOwner

#: A namespace whose last good scan is older than this many intervals is unknown, whatever it was then.
STALE_AFTER_INTERVALS: Final = 2


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def due(self, now: datetime) -> ClusterQuerySet:
        """Those whose next scan is due, or further ahead than a scan can be put off: by a clock that was set back."""
        due = Q(next_scan_at__lte=now)
        for interval in set(self.values_list("scan_interval", flat=True)):
            due |= Q(scan_interval=interval, next_scan_at__gt=now + timedelta(seconds=interval) * STALE_AFTER_INTERVALS)
        return self.filter(due)

    def visible_to(self, user: Any) -> ClusterQuerySet:
        """All for an operator, else those with a Namespace that `user` may see; scanned ones first, the demo's last of
        them, then by name."""
        ordered = self.order_by(Case(When(next_scan_at=None, then=1), default=0), "is_demo", "name")
        ordered = ordered.select_related("access").defer("access__kubeconfig")
        if user.is_staff:
            return ordered
        owned = NamespaceOwner.objects.naming(user).filter(namespace__gone_at=None)
        return ordered.filter(pk__in=owned.values("namespace__cluster"))

    def named(self, name: str) -> ClusterQuerySet:
        return self.filter(name=name)

    def for_page(self) -> ClusterQuerySet:
        """All, with what may be told of their kubeconfigs."""
        return self.select_related("access").order_by("name")

    def from_within(self) -> ClusterQuerySet:
        """Those that are scanned and have no kubeconfig: in a Pod, the cluster that it runs in."""
        return self.filter(kubeconfig="", access=None).exclude(next_scan_at=None).order_by("pk")

    def keyed(self, pk: int) -> ClusterQuerySet:
        return self.filter(pk=pk)

    def watched(self) -> ClusterQuerySet:
        """Those that are scanned, with all that `watched_as` needs."""
        return self.exclude(next_scan_at=None).select_related("access")

    def hurry(self, *, now: datetime) -> int:
        """Make the next scans of these due at `now`, unless they are. How many became so."""
        return self.filter(next_scan_at__gt=now).update(next_scan_at=now)


class Cluster(models.Model):
    """A Kubernetes cluster that is scanned. `kubeconfig` is a path; "" for one that is stored (`ClusterAccess`), else
    for the usual places or in-cluster."""

    name = models.CharField(max_length=100, unique=True)
    kubeconfig = models.CharField(max_length=500, blank=True)
    context = models.CharField(max_length=253, blank=True)
    is_demo = models.BooleanField(default=False)
    scan_interval = models.PositiveIntegerField(default=60, help_text="Seconds from the start of a scan to the next.")
    include = models.JSONField(default=list, blank=True, help_text="Globs of Namespace names; empty for all.")
    exclude = models.JSONField(default=list, blank=True, help_text="Globs of Namespace names; wins over include.")
    label_selector = models.CharField(max_length=500, blank=True)
    next_scan_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    # Who scans now; an owner that was killed loses it by not extending it.
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = ClusterQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def stale_after(self) -> timedelta:
        return timedelta(seconds=self.scan_interval * STALE_AFTER_INTERVALS)

    def unseen(self, now: datetime, *, path: str = "") -> Q:
        """The Namespaces of this cluster, at the end of `path`, that were seen too long ago to be believed at `now`."""
        seen_at, after = f"{path}scanned_at", self.stale_after
        # As in `scanner.staleness`.
        return Q((seen_at, None)) | Q((f"{seen_at}__lt", now - after)) | Q((f"{seen_at}__gt", now + after))

    def watched_as(self) -> tuple[object, ...]:
        """How this cluster is reached, and what of it is scanned: when one of these changes, its watch begins anew."""
        access = getattr(self, "access", None)
        stored = bytes(access.kubeconfig) if access else b""
        return self.name, self.kubeconfig, self.context, self.include, self.exclude, self.label_selector, stored

    def claim_scan(self, *, now: datetime) -> bool:
        """Move `next_scan_at` on from the value this object was loaded with. False: someone else did."""
        following = now + timedelta(seconds=self.scan_interval)
        return Cluster.objects.filter(pk=self.pk, next_scan_at=self.next_scan_at).update(next_scan_at=following) == 1

    def take_lease(self, *, now: datetime, seconds: int) -> bool:
        """Become the only one who scans this cluster for `seconds`, unless someone is."""
        until = now + timedelta(seconds=seconds)
        # Nobody takes one for so long: whose end is further ahead was taken before the clock was set back.
        never = until + timedelta(seconds=seconds)
        free = Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_until__gt=never)
        taken = Cluster.objects.filter(free, pk=self.pk).update(lease_until=until) == 1
        if taken:
            self.lease_until = until
        return taken

    def extend_lease(self, *, now: datetime, seconds: int) -> bool:
        """Keep the lease that this object took. False: it ran out and someone else has it, so stop."""
        until = now + timedelta(seconds=seconds)
        ours = Cluster.objects.filter(pk=self.pk, lease_until=self.lease_until)
        if self.lease_until is None or ours.update(lease_until=until) == 0:
            return False
        self.lease_until = until
        return True

    def end_lease(self) -> None:
        """Give up the lease that this object took, if it still has it."""
        Cluster.objects.filter(pk=self.pk, lease_until=self.lease_until).update(lease_until=None)

    def retry_when_free(self) -> None:
        """Have a scan that found the cluster leased tried again as soon as that lease can have run out."""
        waiting = Cluster.objects.filter(pk=self.pk, next_scan_at__gt=F("lease_until"))
        waiting.update(next_scan_at=F("lease_until"))
