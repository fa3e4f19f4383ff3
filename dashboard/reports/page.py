"""The Reports page: what was mailed, how it went, and what the person's next report would say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.urls import reverse

from dashboard.identity import is_operator
from dashboard.list_page import address
from dashboard.mail.layout import clean, plural
from dashboard.mail.message import report_headers
from dashboard.mail.rendering import Rendered, render_report
from dashboard.models import Mail, Subscription
from dashboard.models.mail import MailQuerySet
from dashboard.reports.recipients import may_be_written_to
from dashboard.reports.sending import report_for, unsubscribe_url
from dashboard.reports.settings import ReportSettings

PAGE_SIZE: Final = 50
#: Test mails that one person may have sent in an hour of the clock.
MOST_TESTS: Final = 5
#: A mail is a stranger's page: it may look like it wants to, and do nothing at all.
FRAME_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A state of a mail, for people: `status` is the colour and icon."""

    words: str
    status: str


_STATES: Final = {
    Mail.State.SENT: Told(words="sent", status="ok"),
    Mail.State.QUEUED: Told(words="waiting", status="unknown"),
    Mail.State.SENDING: Told(words="being sent", status="unknown"),
    Mail.State.IN_DOUBT: Told(words="perhaps sent", status="warning"),
    Mail.State.FAILED: Told(words="not sent", status="critical"),
}
#: What can be asked for, by its name in the address.
FILTERS: Final = {"sent": "Sent", "queued": "Waiting", "in-doubt": "Perhaps sent", "failed": "Not sent"}


class ShownMail:
    """A row of the archive, or its page."""

    def __init__(self, mail: Mail, *, now: datetime) -> None:
        self.mail = mail
        self._now = now

    @property
    def told(self) -> Told:
        found = _STATES[Mail.State(self.mail.state)]
        if self.mail.state == Mail.State.IN_DOUBT and not self.may_be_sent_again:
            return _STATES[Mail.State.SENDING]
        if self.mail.state == Mail.State.QUEUED and self.mail.error:
            return Told(words="to be tried again", status="warning")
        return found

    @property
    def may_be_sent_again(self) -> bool:
        return self.mail.may_be_sent_again(self._now)

    @property
    def advice(self) -> str:
        """What a person can do; "" for nothing."""
        if not self.may_be_sent_again:
            return ""
        if self.mail.state == Mail.State.IN_DOUBT:
            return "Ask the reader, or look in the mail server's log, before you send it again: it may have arrived."
        return "Put right what the mail server complains about, then send it again."


class ReportsPage:
    """The archive, newest first: an operator sees all, others what is for their own address."""

    def __init__(self, user: Any, query: QueryDict, *, now: datetime) -> None:
        self._user = user
        self._now = now
        self.to = clean(query.get("to", ""), 254)
        self.state = query.get("state", "") if query.get("state", "") in FILTERS else ""
        self._number = query.get("page", "1")

    @property
    def rows(self) -> MailQuerySet:
        """All that matches, over all pages."""
        return Mail.objects.archive(self._user, to=self.to, state=self.state)

    @cached_property
    def page(self) -> Page[Mail]:
        return Paginator(self.rows, PAGE_SIZE).get_page(self._number)

    @cached_property
    def mails(self) -> list[ShownMail]:
        return [ShownMail(mail, now=self._now) for mail in self.page]

    @property
    def states(self) -> list[tuple[str, str]]:
        return list(FILTERS.items())

    @property
    def mail_is_on(self) -> bool:
        return bool(settings.MAIL_IS_ON)

    @cached_property
    def is_for_all(self) -> bool:
        return is_operator(self._user)

    @cached_property
    def trouble(self) -> Mail | None:
        """The mail that waits because of the newest error, for who can do something about the server."""
        return Mail.objects.in_trouble().first() if self.is_for_all and self.mail_is_on else None

    @cached_property
    def waiting(self) -> int:
        """How many wait because of some error."""
        return Mail.objects.in_trouble().count()

    @property
    def is_filtered(self) -> bool:
        return bool(self.to or self.state)

    @property
    def csv_url(self) -> str:
        return address(reverse("export", args=["reports"]), {"to": self.to, "state": self.state})

    @property
    def newer_url(self) -> str:
        return self._url(self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def older_url(self) -> str:
        return self._url(self.page.next_page_number()) if self.page.has_next() else ""

    def _url(self, number: int) -> str:
        return address("", {"to": self.to, "state": self.state, "page": number})


def visible_mail(user: Any, pk: int, *, now: datetime) -> ShownMail:
    """The mail, or Http404: the same for one that is not there and one that is not for this person."""
    try:
        return ShownMail(Mail.objects.visible_to(user).get(pk=pk), now=now)
    except Mail.DoesNotExist:
        raise Http404("No such mail") from None


class Preview:
    """The report that `user` would get if it were due now. Nothing is recorded."""

    def __init__(self, user: Any, *, now: datetime) -> None:
        self._user = user
        self._now = now

    @cached_property
    def subscription(self) -> Subscription:
        return ReportSettings(self._user, now=self._now).subscription

    @cached_property
    def rendered(self) -> Rendered:
        return render_report(report_for(self.subscription, now=self._now))

    @property
    def size(self) -> int:
        """Of the HTML part, in kB."""
        return -(-len(self.rendered.html.encode()) // 1000)

    @property
    def obstacle(self) -> str:
        """Why no test can be sent; "" when one can."""
        if not settings.MAIL_IS_ON:
            return "No mail server is set, so nothing can be sent."
        if self.subscription.pk is None:
            return "You get no reports yet, so there is no address for a test."
        if not may_be_written_to(self.subscription):
            return "No mail may be sent to your report address."
        return ""

    @property
    def address(self) -> str:
        return str(self.subscription.address)

    def send_test(self) -> str:
        """Put the report into the outbox, marked as a test; what to tell the person if that may not be, or ""."""
        if self.obstacle:
            return self.obstacle
        hour = f"{self._now:%Y-%m-%dT%H}"
        for number in range(MOST_TESTS):
            # Whoever asks twice at once gets two keys, and nobody gets a sixth one.
            if self._enqueue(key=f"test:{self._user.pk}:{hour}:{number}") is not None:
                return ""
        wait = 60 - self._now.minute
        return f"You had {MOST_TESTS} tests sent in this hour. Wait {plural(wait, 'minute')} for the next one."

    def _enqueue(self, *, key: str) -> Mail | None:
        leave = unsubscribe_url(self.subscription)
        return Mail.objects.enqueue(
            key=key,
            kind="test",
            to=self.address,
            subject=f"Test: {self.rendered.subject}",
            html=self.rendered.html,
            text=self.rendered.text,
            headers=report_headers(subscription=self.subscription.pk, unsubscribe_url=leave),
            subscription=self.subscription,
        )


def framed(html: str) -> HttpResponse:
    """Somebody's HTML as a page of its own that can do nothing."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = FRAME_POLICY
    return response


def send_again(user: Any, pk: int, *, now: datetime) -> str:
    """Queue a mail that failed or is in doubt; what to tell the person if that may not be, or "". Raises Http404."""
    shown = visible_mail(user, pk, now=now)
    if not settings.MAIL_IS_ON:
        return "No mail server is set, so nothing can be sent."
    if not shown.mail.send_again(now=now):
        return "This mail is not one to send again: it was sent, or is about to be."
    return ""
