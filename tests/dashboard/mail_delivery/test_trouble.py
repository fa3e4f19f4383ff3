"""Each step of the conversation that can go wrong: what is tried again, when, and what is given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.mail import delivery
from dashboard.mail.conversation import Undelivered
from dashboard.mail.delivery import GIVE_UP_AFTER, LONGEST_PAUSE, deliver_due, pause_after
from dashboard.models import Mail
from dashboard.models.mail import TOO_OLD
from tests.dashboard.mail_delivery.builders import later, now_of, server, wanted
from tests.rig.smtp import DROP, HANG, SmtpSink

# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("connect", "421 4.3.2 Too busy"),
        ("connect", DROP),
        ("ehlo", DROP),
        ("mail", "451 4.3.0 Try later"),
        ("mail", DROP),
        ("rcpt", "450 4.2.0 Greylisted"),
        ("rcpt", DROP),
        ("data", "452 4.3.1 Disk full"),
        ("data", "421 4.3.2 Going down"),
    ],
)
def test_trouble_that_may_pass_is_tried_again_after_a_pause(step: str, reply: str, sink: SmtpSink) -> None:
    sink.answers[step].append(reply)
    mail = wanted()
    begun = timezone.now()

    deliver_due(server(sink))

    assert (now_of(mail).state, mail.attempts, sink.messages) == ("queued", 1, [])
    assert mail.error
    assert mail.next_try_at is not None
    assert mail.next_try_at > begun + timedelta(seconds=30)

    deliver_due(server(sink), clock=later(timedelta(hours=1)))

    assert (now_of(mail).state, len(sink.messages)) == ("sent", 1)


def test_one_mail_in_trouble_does_not_hold_up_the_others(sink: SmtpSink) -> None:
    sink.answers["rcpt"].extend(["450 4.2.0 Greylisted", "550 5.1.1 No such user"])
    mails = [wanted(f"report:{number}") for number in range(3)]

    tally = deliver_due(server(sink))

    assert [now_of(mail).state for mail in mails] == ["queued", "failed", "sent"]
    assert (tally.later, tally.failed, tally.sent, sink.connections) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("step", "reply"), [("rcpt", "550 5.1.1 No such user"), ("data", "554 5.7.1 Not with this content")]
)
def test_a_refusal_for_good_is_final(step: str, reply: str, sink: SmtpSink) -> None:
    sink.answers[step].append(reply)
    mail = wanted()

    deliver_due(server(sink))
    deliver_due(server(sink), clock=later(timedelta(days=1)))

    assert (now_of(mail).state, mail.next_try_at, sink.messages) == ("failed", None, [])
    assert reply in mail.error


def test_a_sender_that_is_refused_concerns_every_mail(sink: SmtpSink) -> None:
    sink.answers["mail"].append("550 5.7.1 Not from you")
    mails = [wanted(f"report:{number}") for number in range(3)]

    deliver_due(server(sink))

    assert {now_of(mail).state for mail in mails} == {"queued"}
    assert {mail.error for mail in mails} == {mails[0].error}
    assert sink.connections == 1


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "rcpt"])
def test_a_server_that_hangs_is_left_and_asked_later(step: str, sink: SmtpSink) -> None:
    sink.answers[step].extend([HANG, HANG])
    mail = wanted()

    deliver_due(server(sink, timeout=0.5))

    assert (now_of(mail).state, sink.messages) == ("queued", [])
    assert "silent for too long" in mail.error


def test_a_server_that_is_down_is_asked_a_few_times_for_any_number_of_mails(sink: SmtpSink) -> None:
    sink.answers["connect"].extend([DROP] * 20)
    mails = [wanted(f"report:{number}") for number in range(20)]

    deliver_due(server(sink))

    assert sink.connections == delivery.MOST_LOST_CONNECTIONS
    assert all(now_of(mail).state == "queued" and mail.next_try_at > timezone.now() for mail in mails)
    assert not Mail.objects.due(timezone.now()).exists()


def test_nobody_listening_is_told_in_words() -> None:
    with SmtpSink() as gone:
        pass
    mail = wanted()

    deliver_due(server(gone))

    assert now_of(mail).error == "The mail server cannot be reached: Connection refused"


def test_pauses_grow_to_a_bound_and_are_never_quite_the_same() -> None:
    pauses = [pause_after(attempts) for attempts in (1, 2, 3, 20, 500)]

    assert timedelta(seconds=48) <= pauses[0] <= timedelta(seconds=72)
    assert timedelta(seconds=192) <= pauses[2] <= timedelta(seconds=288)
    assert all(LONGEST_PAUSE * 0.8 <= pause <= LONGEST_PAUSE * 1.2 for pause in pauses[3:])
    assert len({pause_after(3) for _ in range(20)}) > 1


def test_trouble_that_does_not_pass_is_given_up_after_a_day(sink: SmtpSink) -> None:
    sink.answers["rcpt"].extend(["450 4.2.0 Greylisted"] * 2)
    mail = wanted()

    deliver_due(server(sink))
    deliver_due(server(sink), clock=later(GIVE_UP_AFTER + timedelta(minutes=2)))

    assert (now_of(mail).state, mail.attempts) == ("failed", 2)
    assert "Greylisted" in mail.error


def test_a_mail_that_waited_for_days_is_of_no_use(sink: SmtpSink) -> None:
    mail = wanted()

    deliver_due(server(sink), clock=later(TOO_OLD + timedelta(minutes=1)))

    assert (now_of(mail).state, sink.messages) == ("failed", [])
    assert mail.error


@pytest.mark.parametrize("to", ["no address", "grace@", "grace@example.com, ada@example.com", "gräce@example.com"])
def test_an_address_that_cannot_be_written_to_fails_at_once(to: str, sink: SmtpSink) -> None:
    mail = wanted(to=to)

    deliver_due(server(sink))

    assert (now_of(mail).state, sink.messages) == ("failed", [])
    assert mail.error


def test_what_a_server_says_is_cut_and_printable() -> None:
    error = str(Undelivered("550 \x1b[31mred\x00 " + "x" * 10_000))

    assert error.isprintable()
    assert len(error) <= 256
