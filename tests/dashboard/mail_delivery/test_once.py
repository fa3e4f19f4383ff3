"""No mail goes twice, whatever happens between the server's acceptance and ours."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.mail.conversation import Conversation
from dashboard.mail.delivery import deliver_due
from dashboard.models import Mail
from dashboard.models.mail import LEASE, TOO_OLD
from dashboard.tasks import dispatch_mails
from tests.dashboard.mail_delivery.builders import later, now_of, server, wanted
from tests.rig.smtp import KEEP_AND_DROP, KEEP_AND_HOLD, SmtpSink

# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("reply", [KEEP_AND_DROP, KEEP_AND_HOLD])
def test_silence_after_the_end_mark_leaves_the_mail_in_doubt_and_it_is_not_sent_again(
    reply: str, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Conversation._finish

    def hasty(conversation: Conversation) -> None:
        sock = conversation._connected.sock
        assert sock is not None
        assert sock.gettimeout() == 60
        if reply == KEEP_AND_HOLD:
            sock.settimeout(0.3)
        finish(conversation)

    sink.answers["data"].append(reply)
    mail = wanted()

    with monkeypatch.context() as patched:
        patched.setattr(Conversation, "_finish", hasty)
        tally = deliver_due(server(sink, timeout=60))
    deliver_due(server(sink), clock=later(timedelta(hours=20)))

    assert (tally.in_doubt, now_of(mail).state, len(sink.messages)) == (1, "in-doubt", 1)
    assert "did not say whether it took the mail" in mail.error


def test_a_person_can_send_a_doubtful_mail_again_and_it_is_the_same_mail(sink: SmtpSink) -> None:
    sink.answers["data"].append(KEEP_AND_DROP)
    mail = wanted()
    deliver_due(server(sink))

    assert not now_of(mail).send_again(now=timezone.now())  # a worker may still wait for the answer
    assert mail.send_again(now=timezone.now() + LEASE)
    deliver_due(server(sink), clock=later(LEASE + timedelta(minutes=1)))

    assert now_of(mail).state == "sent"
    first, second = (one.message for one in sink.messages)
    assert first["Message-ID"] == second["Message-ID"]


def test_who_slept_through_the_lease_sends_nothing(sink: SmtpSink) -> None:
    mail = wanted()
    slow = Mail.objects.claim_next(timezone.now())
    quick = Mail.objects.claim_next(timezone.now() + LEASE)

    assert slow is not None
    assert quick is not None
    assert quick.hand_over(now=timezone.now())
    assert not slow.hand_over(now=timezone.now())
    assert not slow.put_off(until=timezone.now(), error="late")
    assert not slow.fail(now=timezone.now(), error="late")
    assert now_of(mail).state == "in-doubt"


def test_a_lost_lease_ends_the_conversation_before_the_end_mark(
    sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = wanted()
    monkeypatch.setattr(Mail, "hand_over", lambda *_, **__: False)

    tally = deliver_due(server(sink))

    assert (tally.sent, sink.messages, now_of(mail).state) == (0, [], "sending")


def test_a_database_that_fails_at_the_hand_over_leaves_nothing_sent(
    sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(Exception):
        pass

    def fail(*_: object, **__: object) -> bool:
        raise Gone

    mail = wanted()
    with monkeypatch.context() as broken:
        broken.setattr(Mail, "hand_over", fail)
        with pytest.raises(Gone):
            deliver_due(server(sink))
    assert sink.messages == []

    deliver_due(server(sink), clock=later(LEASE + timedelta(seconds=1)))

    assert (now_of(mail).state, len(sink.messages)) == ("sent", 1)


@pytest.mark.parametrize(("others", "sent"), [(0, 1), (1, 1), (2, 0)])
def test_only_so_many_tasks_send_at_once(others: int, sent: int, sink: SmtpSink, settings: Settings) -> None:
    settings.SMTP_SERVER = server(sink)
    for number in range(others):
        wanted(f"report:{number}")
        Mail.objects.claim_next(timezone.now())
    wanted("report:9")

    dispatch_mails()

    assert len(sink.messages) == sent


def test_a_mail_that_kills_every_worker_is_given_up(sink: SmtpSink) -> None:
    mail = wanted()
    Mail.objects.claim_next(timezone.now())

    deliver_due(server(sink), clock=later(TOO_OLD + timedelta(minutes=1)))

    assert (now_of(mail).state, sink.messages) == ("failed", [])
