"""Where alerts go, how that goes, and what each route was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q
from django.utils import timezone

from dashboard.alerting.damping import Told, Wishes
from dashboard.alerting.quiet_hours import QuietHours
from dashboard.encryption import EncryptedField
from scanner.label_selector import parse_label_selector
from scanner.models import Cluster, Namespace

#: How long a claimed route is left alone. Longer than a task that sends may run (`dashboard.tasks.deliver_alerts`).
LEASE: Final = timedelta(minutes=3)
LONGEST_ERROR: Final = 256  # characters


class AlertRouteQuerySet(models.QuerySet["AlertRoute"]):
    def enabled(self) -> AlertRouteQuerySet:
        return self.filter(is_enabled=True)

    def for_page(self) -> AlertRouteQuerySet:
        return self.select_related("cluster").order_by("name", "pk")

    def due(self, now: datetime) -> AlertRouteQuerySet:
        """Those that have a message to send, whose time to try has come, and whom nobody sends for now."""
        waiting = Q(next_try_at=None) | Q(next_try_at__lte=now)
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        pending = AlertMessage.objects.filter(state=AlertMessage.State.PENDING)
        return self.enabled().filter(waiting, free, pk__in=pending.values("route")).order_by("pk")


class AlertRoute(models.Model):
    """Whom to tell of what. `url` is encrypted and never shown again; `service` is what may be said of it ("slack").

    A condition that is left empty holds for every cell. `next_try_at` is set while the route fails (`failing_since`).
    """

    name = models.CharField(max_length=100, unique=True)
    url = EncryptedField()
    service = models.CharField(max_length=40)
    is_enabled = models.BooleanField(default=True)
    severities = models.JSONField(default=list)
    on_recovery = models.BooleanField(default=True)
    on_expiring = models.BooleanField(default=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    label_selector = models.CharField(max_length=500, blank=True)
    owner = models.CharField(max_length=253, blank=True, help_text="A glob.")
    credential = models.CharField(max_length=320, blank=True, help_text="A glob.")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    critical_breaks_quiet = models.BooleanField(default=False)
    created_by = models.CharField(max_length=254)
    # What changed before is not told: see `docs/alerts.md`.
    listens_since = models.DateTimeField(default=timezone.now)

    last_sent_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=LONGEST_ERROR, blank=True)
    next_try_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)

    objects = AlertRouteQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def wishes(self) -> Wishes:
        return Wishes(severities=frozenset(self.severities), recovery=self.on_recovery, expiring=self.on_expiring)

    @property
    def quiet_hours(self) -> QuietHours | None:
        if self.quiet_from is None or self.quiet_until is None:
            return None
        return QuietHours(start=self.quiet_from, end=self.quiet_until, zone=self.zone)

    def quiet_until_at(self, now: datetime) -> datetime | None:
        """The end of the quiet hours in which `now` lies."""
        return self.quiet_hours.end_of(now) if self.quiet_hours else None

    def concerns(self, namespace: Namespace, credential: str, *, owners: list[str]) -> bool:
        """Whether the cell is one of those that this route is about."""
        if self.cluster_id is not None and self.cluster_id != namespace.cluster_id:
            return False
        if self.credential and not fnmatchcase(credential, self.credential):
            return False
        if self.owner and not any(fnmatchcase(name.casefold(), self.owner.casefold()) for name in owners):
            return False
        return not self.label_selector or parse_label_selector(self.label_selector).matches(namespace.labels)

    def claim(self, *, now: datetime) -> bool:
        """Become the only one who sends for this route, for as long as the lease. False: someone else is."""
        until = now + LEASE
        claimed = AlertRoute.objects.filter(pk=self.pk, lease_until=self.lease_until, is_enabled=True)
        if claimed.update(lease_until=until) == 0:
            return False
        self.lease_until = until
        return True

    def release(self) -> None:
        AlertRoute.objects.filter(pk=self.pk, lease_until=self.lease_until).update(lease_until=None)

    def went_well(self, *, now: datetime) -> None:
        """Note that a message reached the service."""
        self._note(last_sent_at=now, failing_since=None, failures=0, last_error="", next_try_at=None)

    def went_wrong(self, error: str, *, now: datetime) -> None:
        """Note why not, and when to try again: after half a minute, then twice as long each time, up to 15 minutes."""
        wait = min(timedelta(seconds=30) * 2 ** min(self.failures, 5), timedelta(minutes=15))
        self._note(
            failing_since=self.failing_since or now,
            failures=self.failures + 1,
            last_error=error[:LONGEST_ERROR],
            next_try_at=now + wait,
        )

    def _note(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        AlertRoute.objects.filter(pk=self.pk).update(**fields)  # which may be deleted by now

    def try_now(self) -> None:
        """Let the next round of deliveries try at once."""
        AlertRoute.objects.filter(pk=self.pk).update(next_try_at=None)

    def start_anew(self, *, now: datetime) -> None:
        """Forget what it was told and what waits: whoever changes the route for another one, or switches it off, is
        not told the end of stories whose beginning went elsewhere."""
        self.told_cells.all().delete()
        self.messages.unsent().delete()
        self._note(listens_since=now)

    def end_of_waiting(self, *, now: datetime) -> None:
        """Have messages that were held back looked at again: the quiet hours may be others now."""
        self.messages.held().update(due_at=now)


class ToldCell(models.Model):
    """What a route was last told about a cell (`damping.Told`). No row: the cell is well, as far as the route knows."""

    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="told_cells", db_index=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="+")
    credential = models.CharField(max_length=320)
    status = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    changed_at = models.DateTimeField()
    is_flapping = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["route", "namespace", "credential"], name="told_once"),)

    def __str__(self) -> str:
        return f"{self.route_id}: {self.namespace_id} × {self.credential} {self.status}"

    @property
    def told(self) -> Told:
        return Told(status=self.status, reason=self.reason, changed_at=self.changed_at, is_flapping=self.is_flapping)


class AlertMessageQuerySet(models.QuerySet["AlertMessage"]):
    def collecting(self) -> AlertMessageQuerySet:
        return self.filter(state=AlertMessage.State.COLLECTING)

    def held(self) -> AlertMessageQuerySet:
        return self.collecting().filter(is_held=True)

    def unsent(self) -> AlertMessageQuerySet:
        return self.filter(state__in=[AlertMessage.State.COLLECTING, AlertMessage.State.PENDING])

    def pending(self) -> AlertMessageQuerySet:
        """Oldest first, so that a recovery does not overtake the trouble; but one that failed again and again, perhaps
        for what is in it, lets the others pass."""
        stubborn = models.Case(models.When(attempts__gte=AlertMessage.STUBBORN, then=1), default=0)
        return self.filter(state=AlertMessage.State.PENDING).order_by(stubborn, "pk")

    def shown(self) -> AlertMessageQuerySet:
        """Newest first; without those of which everything was known by the time they were due."""
        return self.exclude(state=AlertMessage.State.COLLECTING).select_related("route").order_by("-sealed_at", "-pk")


class AlertMessage(models.Model):
    """A message of a route. It collects until `due_at` (longer while `is_held` by quiet hours); then title and body are
    written, and it stands in the outbox until it is sent or given up.

    It is sent at least once: a worker that is killed between the service's answer and our note of it leaves it pending,
    and it is sent again. For an alert that is the better of the two mistakes.
    """

    class State(models.TextChoices):
        COLLECTING = "collecting"
        PENDING = "pending"
        SENT = "sent"
        GIVEN_UP = "given up"

    #: After so many failures it lets newer messages pass.
    STUBBORN: Final = 5
    #: What could not be sent for so long is no news any more.
    TOO_OLD: Final = timedelta(hours=24)

    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="messages")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+", db_index=False)
    credential = models.CharField(max_length=320)
    news = models.CharField(max_length=10)
    status = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=10, default=State.COLLECTING)
    is_held = models.BooleanField(default=False)
    due_at = models.DateTimeField()
    title = models.CharField(max_length=255, blank=True)
    body = models.TextField(blank=True)
    severity = models.CharField(max_length=10, blank=True)
    sealed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)

    objects = AlertMessageQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["route", "cluster", "credential", "news", "status", "reason"],
                condition=Q(state="collecting"),
                name="alert_collects_once",
            ),
        )
        indexes = (models.Index(fields=["state", "due_at"], name="alert_due"),)

    def __str__(self) -> str:
        return self.title or f"{self.credential}: {self.news} {self.reason}"

    def was_sent(self, *, now: datetime) -> None:
        self._set(state=self.State.SENT, sent_at=now, error="")

    def failed(self, error: str, *, now: datetime) -> None:
        is_late = self.sealed_at is not None and now - self.sealed_at >= self.TOO_OLD
        state = self.State.GIVEN_UP if is_late else self.State.PENDING
        self._set(state=state, attempts=self.attempts + 1, error=error[:LONGEST_ERROR])

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        AlertMessage.objects.filter(pk=self.pk).update(**fields)  # whose route may be deleted by now


class AlertItem(models.Model):
    """A cell in a message. `transition` is the pk of the Transition that it tells, None for what is told without one;
    `acknowledgement` that of the Acknowledgement whose end it tells. Each is told once to a route, whoever tries: the
    constraints hold it."""

    message = models.ForeignKey(AlertMessage, on_delete=models.CASCADE, related_name="items")
    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="+", db_index=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="+")
    credential = models.CharField(max_length=320)
    transition = models.BigIntegerField(null=True)
    acknowledgement = models.BigIntegerField(null=True)
    at = models.DateTimeField()
    status = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    over_at = models.DateTimeField(null=True)
    over_by = models.BigIntegerField(null=True)
    is_well = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["route", "transition"], name="transition_told_once"),
            models.UniqueConstraint(fields=["route", "acknowledgement"], name="end_told_once"),
        )

    def __str__(self) -> str:
        return f"{self.message_id}: {self.namespace_id} × {self.credential}"


class PlannedTransition(models.Model):
    """A Transition that the planner has seen. Rows of one scan may become visible after rows of a later one, so "all
    after the last pk" would miss some; each is ticked off instead. Kept as long as `planning.LATEST` asks for."""

    transition = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.transition)


class AlertPlan(models.Model):
    """One row: who plans holds its lock. Everything that became visible up to `planned_until` is ticked off. Who sends
    has it until `sending_until`: one worker at a time, so that hanging services never take the workers from scans."""

    THE_ONE: Final = 1

    planned_until = models.DateTimeField()
    sending_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"planned until {self.planned_until:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def ensure(cls, *, now: datetime) -> None:
        """Make the row. What changed before is nothing to alert of."""
        cls.objects.get_or_create(pk=cls.THE_ONE, defaults={"planned_until": now})

    @classmethod
    def claim_sending(cls, *, now: datetime) -> bool:
        free = Q(sending_until=None) | Q(sending_until__lte=now)
        return cls.objects.filter(free, pk=cls.THE_ONE).update(sending_until=now + LEASE) == 1

    @classmethod
    def end_sending(cls) -> None:
        cls.objects.filter(pk=cls.THE_ONE).update(sending_until=None)
