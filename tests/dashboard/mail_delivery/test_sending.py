"""The outbox and a real SMTP server: what is sent, and what need not be any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.mail import conversation
from dashboard.mail.delivery import deliver_due
from dashboard.mail.message import message_id
from dashboard.mail.server import SmtpServer
from dashboard.models import Mail, Subscription
from dashboard.tasks import dispatch_mails
from tests import factories
from tests.dashboard.mail_delivery.builders import later, now_of, server, wanted
from tests.rig.process import free_port
from tests.rig.smtp import SmtpSink

# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_mail_arrives_and_stands_in_the_archive_as_sent(sink: SmtpSink) -> None:
    mail = wanted()

    tally = deliver_due(server(sink))

    assert (tally.sent, now_of(mail).state, mail.error, mail.attempts) == (1, "sent", "", 1)
    assert mail.sent_at is not None
    assert [(one.sender, one.recipients) for one in sink.messages] == [
        ("credboard@example.com", ("grace@example.com",))
    ]
    assert sink.messages[0].message["Message-ID"] == message_id(mail.key)


def test_a_sent_mail_is_not_due_again(sink: SmtpSink) -> None:
    wanted()

    deliver_due(server(sink))
    deliver_due(server(sink), clock=later(timedelta(days=2)))

    assert len(sink.messages) == 1


def test_lines_that_begin_with_a_dot_arrive_whole(sink: SmtpSink) -> None:
    wanted(text=".\n..two\n.end\n", html="")

    deliver_due(server(sink))

    assert sink.messages[0].message.get_content().replace("\r\n", "\n") == ".\n..two\n.end\n"


def test_many_mails_share_a_connection_up_to_a_bound(sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MOST_PER_CONNECTION", 3)
    for number in range(5):
        wanted(f"report:{number}")

    tally = deliver_due(server(sink))

    assert tally.sent == len(sink.messages) == 5
    assert sink.connections == 2


def test_a_run_is_bounded_and_the_next_one_goes_on(sink: SmtpSink) -> None:
    for number in range(5):
        wanted(f"report:{number}")

    first = deliver_due(server(sink), most=3)
    second = deliver_due(server(sink))

    assert (first.sent, second.sent, len(sink.messages)) == (3, 2, 5)


def test_the_same_key_is_enqueued_once() -> None:
    wanted("report:7")

    again = Mail.objects.enqueue(
        key="report:7", kind="report", to="ada@example.com", subject="", html="", text="", headers={}
    )

    assert again is None
    assert Mail.objects.count() == 1


def test_with_mail_off_nothing_is_sent_and_nothing_is_lost(settings: Settings) -> None:
    settings.SMTP_SERVER = None
    mail = wanted()

    dispatch_mails()

    assert (now_of(mail).state, mail.attempts) == ("queued", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["unsubscribed", "switched off"])
def test_a_report_that_waited_is_not_sent_to_who_left_meanwhile(why: str) -> None:
    user = factories.owner("grace")
    subscription = Subscription.objects.create(user=user, address="grace@example.com", frequency="weekly")
    mail = Mail.objects.enqueue(
        key="report:1", kind="report", to="grace@example.com", subject="s", html="<p>h", text="t", headers={},
        subscription=subscription,
    )  # fmt: skip
    if why == "unsubscribed":
        subscription.switch("off", now=timezone.now())
    else:
        User.objects.update(is_active=False)

    # Nobody listens there: it is not even tried.
    tally = deliver_due(SmtpServer(host="127.0.0.1", port=free_port(), security="none"))

    assert mail is not None
    mail.refresh_from_db()
    assert (tally.failed, mail.state) == (1, Mail.State.FAILED)
    assert mail.error == "Its reader wants no more reports, or may no longer sign in."


@pytest.mark.django_db
def test_nobody_finds_the_link_that_confirms_an_address_in_the_archive() -> None:
    Mail.objects.enqueue(
        key="confirm:1", kind="confirm-address", to="ada@example.com", subject="s", html="", text="link", headers={}
    )
    ada = factories.operator()
    ada.email = "ada@example.com"

    assert not Mail.objects.visible_to(ada).exists()
