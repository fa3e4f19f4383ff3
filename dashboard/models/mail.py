"""Every mail, from the moment it is wanted: the outbox while it waits, the archive once it is sent.

How a row comes to be sent exactly once is told in `dashboard/mail/delivery.py`. The steps are conditional UPDATEs here,
so that whoever comes second (another worker, the same task again, one that slept through its lease) changes nothing:

    queued ──claim_next──▶ sending ──hand_over──▶ in doubt ──accept──▶ sent
       ▲                      │                      │
       ├───────put_off────────┴──────────────────────┤   the server refused in so many words, for now
       │                      └─────────fail─────────┴──▶ failed: refused for good, or too late
       └──send_again── a person, who looked at one that is failed or in doubt
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from dashboard.identity import is_operator
from dashboard.models.subscription import Subscription

#: How long a claimed mail is left alone. Longer than a task that sends may run (`dashboard.tasks.dispatch_mails`).
LEASE: Final = timedelta(minutes=10)
#: A mail that could not be sent for so long, whatever the reason, is of no use any more.
TOO_OLD: Final = timedelta(days=3)
LONGEST_ERROR: Final = 256  # characters
LONGEST_SUBJECT: Final = 200  # characters
#: The `kind` of a report, and of the mail that asks whether an address is somebody's own.
REPORT: Final = "report"
CONFIRMATION: Final = "confirm-address"


class MailQuerySet(models.QuerySet["Mail"]):
    def enqueue(
        self,
        *,
        key: str,
        kind: str,
        to: str,
        subject: str,
        html: str,
        text: str,
        headers: Mapping[str, str],
        subscription: Subscription | None = None,
    ) -> Mail | None:
        """The new mail, to be sent as soon as can be; None when there is one with this `key` already.

        `key` says what the mail is about (at most 255 characters, like "report:12:2026-11-16"): asking twice for
        the same is harmless. `to` is one bare address; `headers` are those besides what every mail has.
        """
        now = timezone.now()
        mail = Mail(
            key=key,
            kind=kind,
            to=to,
            subject=storable(subject)[:LONGEST_SUBJECT],
            html=storable(html),
            text=storable(text),
            headers=dict(headers),
            subscription=subscription,
            created_at=now,
            queued_at=now,
            next_try_at=now,
        )
        try:
            with transaction.atomic(using=self.db):
                mail.save(force_insert=True)
        except IntegrityError:
            if self.filter(key=key).exists():
                return None
            raise
        return mail

    def due(self, now: datetime) -> MailQuerySet:
        """Those to be sent now, the longest waiting first: queued ones, and ones whose worker died before it handed
        them over."""
        return self.filter(state__in=_UNSENT, next_try_at__lte=now).order_by("next_try_at", "pk")

    def claim_next(self, now: datetime) -> Mail | None:
        """The next mail that is due, this worker's own until `LEASE` from `now`; None when there is none."""
        lease = now + LEASE
        # A few at a time: whoever loses the race for the first has another one at hand.
        for pk, as_read in self.due(now).values_list("pk", "next_try_at")[:20]:
            same = self.filter(pk=pk, state__in=_UNSENT, next_try_at=as_read)
            if same.update(state=Mail.State.SENDING, next_try_at=lease, attempts=F("attempts") + 1) == 1:
                return self.select_related("subscription__user").get(pk=pk)
        return None

    def under_way(self, now: datetime) -> int:
        """How many are held by a worker, which may have died since."""
        return self.filter(state=Mail.State.SENDING, next_try_at__gt=now).count()

    def postpone(self, now: datetime, *, until: datetime, error: str) -> int:
        """Put off all that are due, with the reason: the server itself is in trouble, and asking it once is enough."""
        waiting = self.filter(state=Mail.State.QUEUED, next_try_at__lte=now)
        return waiting.update(next_try_at=until, error=storable(error)[:LONGEST_ERROR])

    def give_up_old(self, now: datetime) -> int:
        """Fail those that have waited for `TOO_OLD`, or that killed every worker since; their last error stays."""
        waiting = Q(state=Mail.State.QUEUED) | Q(state=Mail.State.SENDING, next_try_at__lte=now)
        old = self.filter(waiting, queued_at__lt=now - TOO_OLD)
        old.filter(error="").update(error=f"Nobody sent it within {TOO_OLD.days} days: mail was off, or no worker ran")
        return old.update(state=Mail.State.FAILED, next_try_at=None, settled_at=now)

    def visible_to(self, user: Any) -> MailQuerySet:
        """All for operators; for others what is for their own address or subscription. But nobody sees here the link
        that shows that an address is somebody's own: it would show no such thing any more."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        mails = self.exclude(kind=CONFIRMATION)
        if is_operator(user):
            return mails
        own = Q(subscription__user=user)
        return mails.filter(own | Q(to__iexact=user.email) if user.email else own)

    def archive(self, user: Any, *, to: str = "", state: str = "") -> MailQuerySet:
        """What `user` may see, newest first, without the mails themselves: those to addresses that contain `to`, in
        `state` ("queued" stands for all that are under way)."""
        mails = self.visible_to(user)
        if to:
            mails = mails.filter(to__icontains=to)
        if state:
            mails = mails.filter(state__in=_UNSENT if state == Mail.State.QUEUED else [state])
        return mails.defer("html", "text", "headers").order_by("-created_at", "-pk")

    def in_trouble(self) -> MailQuerySet:
        """Those that wait because of an error, the one that was tried or put off last first."""
        return self.filter(state=Mail.State.QUEUED).exclude(error="").order_by("-next_try_at", "-pk")


class Mail(models.Model):
    """One mail to one address. `html` and `text` are what was, or will be, sent; never a secret value."""

    class State(models.TextChoices):
        """In the database for ever; `choices` are not on the field, so that a new one needs no migration."""

        QUEUED = "queued"
        SENDING = "sending"
        IN_DOUBT = "in-doubt"
        SENT = "sent"
        FAILED = "failed"

    key = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=30)
    to = models.CharField(max_length=254, db_index=True)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    html = models.TextField(blank=True)
    text = models.TextField()
    headers = models.JSONField(default=dict)
    subscription = models.ForeignKey(Subscription, on_delete=models.SET_NULL, null=True, related_name="mails")
    state = models.CharField(max_length=10, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(default=timezone.now, help_text="When it was last wanted: made, or sent again.")
    next_try_at = models.DateTimeField(
        null=True, help_text="When it is due; while it is being sent, the end of the lease."
    )
    handed_over_at = models.DateTimeField(null=True, help_text="When the server was told to take it, the last time.")
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(
        null=True, db_index=True, help_text="Since when nothing is done about it any more."
    )
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=["state", "next_try_at"], name="mail_due"),
            models.Index(fields=["-created_at", "-id"], name="mail_newest"),
        )

    def __str__(self) -> str:
        return f"{self.kind} to {self.to} ({self.state})"

    # Each of these is True when the row was still in the state that this worker left it in, and False when another one
    # came between: then nothing was changed, and the worker must let go of the mail.

    def hand_over(self, *, now: datetime) -> bool:
        """Commit that the server is about to be told to take it. False: it may not be, somebody else has the lease."""
        return self._step(
            Mail.State.SENDING,
            state=Mail.State.IN_DOUBT,
            handed_over_at=now,
            settled_at=now,
            next_try_at=None,
            error="",
        )

    def accept(self, *, now: datetime) -> bool:
        """The server said that it has taken it."""
        return self._step(Mail.State.IN_DOUBT, state=Mail.State.SENT, sent_at=now, settled_at=now)

    def leave_in_doubt(self, error: str) -> bool:
        """Nobody said whether the server took it."""
        return self._step(Mail.State.IN_DOUBT, error=storable(error)[:LONGEST_ERROR])

    def put_off(self, *, until: datetime, error: str, counts: bool = True) -> bool:
        """It was not taken, and may be later. `counts`: as one of the tries that the pauses grow with."""
        return self._step(
            self.state,
            state=Mail.State.QUEUED,
            next_try_at=until,
            settled_at=None,
            attempts=self.attempts if counts else self.attempts - 1,
            error=storable(error)[:LONGEST_ERROR],
        )

    @property
    def is_unwanted(self) -> bool:
        """Whether its reader chose to get no more reports, or may no longer sign in, since it was written."""
        subscription = self.subscription
        if self.kind != REPORT or subscription is None:
            return False
        return subscription.frequency == "off" or (subscription.user is not None and not subscription.user.is_active)

    def fail(self, *, now: datetime, error: str) -> bool:
        """It was not taken, and never will be."""
        return self._step(
            self.state,
            state=Mail.State.FAILED,
            next_try_at=None,
            settled_at=now,
            error=storable(error)[:LONGEST_ERROR],
        )

    def send_again(self, *, now: datetime) -> bool:
        """A person decided. The Message-ID stays, so that a mail store that has it already may drop the second."""
        if not self.may_be_sent_again(now):
            return False
        return self._step(
            self.state,
            state=Mail.State.QUEUED,
            next_try_at=now,
            queued_at=now,
            settled_at=None,
            attempts=0,
            error="",
        )

    def may_be_sent_again(self, now: datetime) -> bool:
        """True for a failed one, and for one in doubt that no worker can still be waiting for."""
        if self.state == Mail.State.IN_DOUBT:
            return self.handed_over_at is None or self.handed_over_at + LEASE <= now
        return self.state == Mail.State.FAILED

    def _step(self, expected: str, **values: Any) -> bool:
        # While it is being sent the end of the lease tells whose it is; handed over it is known by that moment.
        whose = (
            {"next_try_at": self.next_try_at}
            if expected == Mail.State.SENDING
            else {"handed_over_at": self.handed_over_at}
        )
        with transaction.atomic(durable=True):  # committed when this returns: what follows cannot be taken back
            if Mail.objects.filter(pk=self.pk, state=expected, **whose).update(**values) != 1:
                return False
        for name, value in values.items():
            setattr(self, name, value)
        return True


_UNSENT: Final = (Mail.State.QUEUED, Mail.State.SENDING)


def storable(text: str) -> str:
    """Without what PostgreSQL or a UTF-8 encoder refuses: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
