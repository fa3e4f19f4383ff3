"""One's own report: the choices of a person, and the proof that another address is theirs.

The rule for addresses: the e-mail address of one's own account (an operator or the identity provider gave it) is used
at once. Any other one is written to only after the person opened a link that was mailed to it, signed in as themselves.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction

from dashboard.models import Mail, Subscription
from dashboard.models.mail import CONFIRMATION
from dashboard.reports.forms import ReportForm
from dashboard.reports.recipients import valid_address
from dashboard.reports.sending import public
from dashboard.schedule import Frequency

#: How long a link that was mailed to a new address can be used.
CONFIRM_WITHIN: Final = timedelta(days=2)
#: A person may have one such mail sent in this time, so that nobody's mailbox can be filled from here.
CONFIRM_EVERY: Final = timedelta(minutes=10)
_SALT: Final = "credboard.report.address"


class ReportSettings:
    """The page of `user`, a signed-in person. `said` is what to tell them after `save`."""

    def __init__(self, user: Any, data: Any = None, *, now: datetime) -> None:
        self.user = user
        self.now = now
        self.said = ""
        self._data = data

    @cached_property
    def subscription(self) -> Subscription:
        """The person's; a new one that is off and not saved if they have none."""
        found = Subscription.objects.of(self.user)
        if found is None:
            found = Subscription.by_default(valid_address(self.user.email), source=Subscription.Source.PERSON)
            found.user, found.frequency = self.user, Frequency.OFF
        return found

    @cached_property
    def form(self) -> ReportForm:
        return ReportForm(self.subscription, self._data)

    @property
    def mail_is_on(self) -> bool:
        return bool(settings.MAIL_IS_ON)

    @property
    def next_send(self) -> str:
        """When the next one comes on the person's clock; "" for never."""
        due = self.subscription.next_send_at
        return self.subscription.local(due).strftime("%A %Y-%m-%d, %H:%M") if due else ""

    def save(self) -> bool:
        """Keep what was chosen. False: the form says why not."""
        if not self.form.is_valid():
            return False
        address = self.form.cleaned_data["address"]
        is_new = self.subscription.pk is None
        must_confirm = not self._is_own(address) and (is_new or address != self.subscription.address)
        if must_confirm and not self._ask(address):
            return False
        if not (must_confirm and is_new):
            choices = self.form.choices() if must_confirm else self.form.cleaned_data
            if not keep(self.subscription, choices, now=self.now):
                self.form.add_error("address", "Another subscription uses this address already.")
                return False
        self.said = f"Open the link in the mail to {address} within two days." if must_confirm else "Saved."
        return True

    def _is_own(self, address: str) -> bool:
        own = valid_address(self.user.email)
        return bool(own) and address.casefold() == own.casefold()

    def _ask(self, address: str) -> bool:
        """Mail a link to `address`. False: not now."""
        if not settings.MAIL_IS_ON:
            self.form.add_error("address", "No mail can be sent from here yet, so this address cannot be confirmed.")
            return False
        slot = int(self.now.timestamp() // CONFIRM_EVERY.total_seconds())
        token = signing.dumps({"user": self.user.pk, "address": address, **self.form.choices()}, salt=_SALT)
        sent = Mail.objects.enqueue(
            key=f"confirm:{self.user.pk}:{slot}",
            kind=CONFIRMATION,
            to=address,
            subject="Confirm your address for Credboard's reports",
            html="",
            text=_words(self.user.get_username(), public("report-confirm", token)),
            headers={},
        )
        if sent is None:
            self.form.add_error(
                "address", "A link was mailed a moment ago. Wait ten minutes before you ask for another."
            )
        return sent is not None


def confirm(token: str, user: Any, *, now: datetime) -> Subscription | None:
    """Use the address that `token` was mailed to for the reports of `user`; None for a link that is not of this person,
    too old or not ours, or when the address has become someone else's."""
    chosen = asked(token, user)
    if chosen is None:
        return None
    subscription = Subscription.objects.of(user)
    if subscription is None:
        subscription = Subscription.by_default(chosen["address"], source=Subscription.Source.PERSON)
        subscription.user = user
    else:
        chosen = {"address": chosen["address"]}
    chosen["source"] = Subscription.Source.PERSON
    return subscription if keep(subscription, chosen, now=now) else None


def asked(token: str, user: Any) -> dict[str, Any] | None:
    """What `user` chose when `token` was mailed; None for a link that is not of this person, too old or not ours."""
    try:
        chosen: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=CONFIRM_WITHIN)
    except signing.BadSignature:
        return None
    return chosen if chosen.pop("user") == user.pk else None


def keep(subscription: Subscription, choices: dict[str, Any], *, now: datetime) -> bool:
    """Save `choices`, and when the next report is due if they ask for another time. False: the address is taken."""
    for name, value in choices.items():
        setattr(subscription, name, value)
    planned = {"frequency", "weekday", "hour", "time_zone"} & choices.keys()
    if planned:
        subscription.plan(now=now)
    names = None if subscription.pk is None else [*choices, *(["next_send_at"] if planned else [])]
    try:
        with transaction.atomic():
            subscription.save(update_fields=names)
    except IntegrityError:
        return False
    return True


def switch(subscription: Subscription, wanted: str | None, *, now: datetime) -> str:
    """Switch reports off, or on again as often as `wanted`; how often they came before."""
    before = subscription.frequency
    frequency = wanted if wanted in (Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY) else Frequency.OFF
    subscription.switch(frequency, now=now)
    return before


def _words(person: str, link: str) -> str:
    return f"""Someone, most likely you, asked Credboard to send the reports of {person} to this address.

To have that, sign in to Credboard and open this link within two days:

{link}

If it was not you, do nothing: no report is sent here.
"""
