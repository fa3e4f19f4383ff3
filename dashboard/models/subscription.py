"""Who gets a report, when, and at which address."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from dashboard.schedule import LENGTHS, Frequency, following

#: The longest time that a report looks back, however long none was sent: from one first Monday of a month to the next
#: it is five weeks now and then, and an hour more where the clocks go back between them.
LONGEST_PERIOD: Final = timedelta(days=35, hours=12)


def normalised(address: str) -> str:
    """`address` with its domain in lower case: domains do not tell cases apart, what stands before the @ may."""
    local, at, domain = address.strip().rpartition("@")
    return f"{local}{at}{domain.lower()}"


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def due(self, now: datetime) -> SubscriptionQuerySet:
        """Those whose report is due, the longest waiting first."""
        return self.filter(next_send_at__lte=now).order_by("next_send_at", "pk")

    def among(self, keys: Iterable[int]) -> SubscriptionQuerySet:
        """Those with these pks, in the order of `due`, each with its user."""
        return self.filter(pk__in=keys).select_related("user").order_by("next_send_at", "pk")

    def at(self, address: str) -> SubscriptionQuerySet:
        """Those that go to `address` in whatever case: one person has one mailbox."""
        return self.filter(address__iexact=address)

    def of(self, user: Any) -> Subscription | None:
        """The subscription of `user`; one at the person's own e-mail address that nobody claimed becomes theirs."""
        own = self.filter(user=user).first()
        if own is not None or not user.email:
            return own
        unclaimed = self.at(user.email).filter(user=None).first()
        if unclaimed is None or not unclaimed.adopt(user):
            return None
        return unclaimed

    def taken(self, address: str, *, besides: Subscription | None = None) -> bool:
        """Whether another subscription than `besides` goes to `address`."""
        others = self.at(address)
        return (others.exclude(pk=besides.pk) if besides and besides.pk else others).exists()

    def subscribe(self, address: str, *, source: str, user: User | None = None, now: datetime) -> Subscription | None:
        """A new subscription as the settings have it by default; None when there is one of this person or address."""
        fresh = Subscription.by_default(address, source=source, user=user)
        fresh.plan(now=now)
        taken = Q(address__iexact=fresh.address) | (Q(user=user) if user else Q())
        if self.filter(taken).exists():
            return None
        try:
            with transaction.atomic(using=self.db):
                fresh.save(force_insert=True)
        except IntegrityError:  # someone else was quicker
            return None
        return fresh


class Subscription(models.Model):
    """One person's report. `address` is the mailbox; `user` is who it is about, None for an owner who never signed in.

    `next_send_at` is when the next one is due (None: never), and `sent_until` the end of the time of the last one. A
    row stays when it is switched off, so that nobody is subscribed again against their will.
    """

    class Source(models.TextChoices):
        """What named the address. In the database for ever; no `choices`, so that a new one needs no migration."""

        PROFILE = "profile"
        ANNOTATION = "annotation"
        OPERATOR = "operator"
        PERSON = "person"

    address = models.EmailField(max_length=254, unique=True)
    user = models.OneToOneField(User, on_delete=models.CASCADE, null=True, related_name="subscription")
    source = models.CharField(max_length=12, default=Source.PERSON)
    frequency = models.CharField(max_length=8, default=Frequency.WEEKLY)
    weekday = models.PositiveSmallIntegerField(default=0, help_text="0 is Monday.")
    hour = models.PositiveSmallIntegerField(default=9)
    time_zone = models.CharField(max_length=64, default="UTC")
    sends_when_well = models.BooleanField(default=True)
    next_send_at = models.DateTimeField(null=True, db_index=True)
    sent_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = SubscriptionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.address} {self.frequency}"

    @classmethod
    def by_default(cls, address: str, *, source: str, user: User | None = None) -> Subscription:
        """One that is not saved yet: weekly, at the weekday and hour of the settings."""
        return cls(
            address=normalised(address),
            user=user,
            source=source,
            weekday=settings.REPORT_WEEKDAY,
            hour=settings.REPORT_HOUR,
            time_zone=settings.REPORT_TIME_ZONE,
        )

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def following(self, now: datetime) -> datetime | None:
        """When a report is due next after `now`."""
        return following(self.frequency, self.weekday, self.hour, self.time_zone, now)

    def local(self, at: datetime) -> datetime:
        """`at` on the clock of the person."""
        return at.astimezone(ZoneInfo(self.time_zone))

    def plan(self, *, now: datetime) -> None:
        """Set `next_send_at` as frequency, weekday, hour and time zone ask for. Does not save."""
        self.next_send_at = self.following(now)

    @property
    def period_start(self) -> datetime:
        """Where the time of the report that is due begins: where the last one ended, at most `LONGEST_PERIOD` ago.

        Each report's begins later than that of the one before, so it names the report among all of this subscription.
        Raises ValueError when none is due.
        """
        if self.next_send_at is None:
            raise ValueError("No report is due")
        if self.sent_until is None:
            return self.next_send_at - LENGTHS[Frequency(self.frequency)]
        return max(self.sent_until, self.next_send_at - LONGEST_PERIOD)

    def claim(self, *, now: datetime) -> bool:
        """Take the report that is due: move `next_send_at` on from the value this object was loaded with. False:
        someone else did, or the person changed their mind."""
        after, address = self.following(now), self.address
        mine = Subscription.objects.filter(pk=self.pk, next_send_at=self.next_send_at, address=address)
        if self.next_send_at is None or mine.update(next_send_at=after, sent_until=now) == 0:
            return False
        self.next_send_at, self.sent_until = after, now
        return True

    def adopt(self, user: User) -> bool:
        """Make this subscription, which is nobody's yet, that of `user`. False: it is someone's, or they have one."""
        try:
            with transaction.atomic():
                adopted = Subscription.objects.filter(pk=self.pk, user=None).update(user=user) == 1
        except IntegrityError:
            return False
        if adopted:
            self.user = user
        return adopted

    def switch(self, frequency: str, *, now: datetime) -> None:
        """Switch it off, or on again, and leave everything else as it is."""
        self.frequency = Frequency(frequency)
        self.plan(now=now)
        self.save(update_fields=["frequency", "next_send_at"])
