"""The outbox and a real SMTP server: what happens at each step that can go wrong, and that no mail goes twice."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.mail import delivery
from dashboard.mail.conversation import MOST_PER_CONNECTION, Undelivered
from dashboard.mail.delivery import CONFIGURATION_PAUSE, GIVE_UP_AFTER, LONGEST_PAUSE, deliver_due, pause_after
from dashboard.mail.message import message_id
from dashboard.mail.server import Sender, SmtpServer
from dashboard.models import Mail, Subscription
from dashboard.models.mail import LEASE, TOO_OLD
from dashboard.tasks import dispatch_mails
from tests import factories
from tests.rig.certificates import CertificateAuthority
from tests.rig.process import ServerProcess, free_port
from tests.rig.shared_database import shared_database
from tests.rig.smtp import DROP, HANG, KEEP_AND_DROP, KEEP_AND_HOLD, SmtpSink
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parent.parent.parent
PASSWORD = "canary-smtp-5e1f"
USERS = {"credboard": PASSWORD}
REDELIVER_AFTER = 2  # seconds
PATIENCE = 60  # seconds, on a machine that does other things as well

# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def _sender(settings: Settings) -> None:
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")


@pytest.fixture(name="sink")
def _sink() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        yield sink


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("smtp-ca"))


def server(sink: SmtpSink, **fields: Any) -> SmtpServer:
    return SmtpServer(**{"host": "127.0.0.1", "port": sink.port, "security": "none", "timeout": 20, **fields})


def wanted(key: str = "report:1:2026-11-16", **fields: Any) -> Mail:
    values = {
        "kind": "report",
        "to": "grace@example.com",
        "subject": "Your Namespaces: all well",
        "html": "<p>All well</p>",
        "text": "All well\n",
        "headers": {},
    } | fields
    mail = Mail.objects.enqueue(key=key, **values)
    assert mail is not None
    return mail


def later(by: timedelta) -> Callable[[], datetime]:
    """A clock that is ahead."""
    return lambda: timezone.now() + by


def now_of(mail: Mail) -> Mail:
    mail.refresh_from_db()
    return mail


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


def test_many_mails_share_a_connection_up_to_a_bound(sink: SmtpSink) -> None:
    for number in range(MOST_PER_CONNECTION + 5):
        wanted(f"report:{number}")

    tally = deliver_due(server(sink))

    assert tally.sent == len(sink.messages) == MOST_PER_CONNECTION + 5
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


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_speaks_tls_and_signs_in(security: str, authority: CertificateAuthority) -> None:
    ca = authority.ca_file.read_text()
    with SmtpSink(security=security, certificate=authority.server(f"smtp-{security}"), users=USERS) as sink:
        wanted()
        tally = deliver_due(server(sink, security=security, ca=ca, user="credboard", password=PASSWORD))

    assert (tally.sent, sink.sign_ins, len(sink.messages)) == (1, ["credboard"], 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_stops_all_mails_and_says_so(
    security: str, authority: CertificateAuthority
) -> None:
    with SmtpSink(security=security, certificate=authority.server(f"untrusted-{security}"), users=USERS) as sink:
        first, second = wanted("report:1"), wanted("report:2")
        deliver_due(server(sink, security=security, user="credboard", password=PASSWORD))

    assert (sink.connections <= 1, sink.sign_ins, sink.messages) == (True, [], [])
    assert (now_of(first).state, now_of(second).state) == ("queued", "queued")
    assert "certificate is not trusted" in first.error
    assert second.error == first.error


def test_a_server_without_starttls_never_gets_the_password(sink: SmtpSink) -> None:
    mail = wanted()

    deliver_due(server(sink, security="starttls", user="credboard", password=PASSWORD))

    assert (now_of(mail).state, sink.messages) == ("queued", [])
    assert "does not offer STARTTLS" in mail.error


def test_tls_with_a_server_that_speaks_in_clear_is_a_setting_to_change(sink: SmtpSink) -> None:
    mail = wanted()

    deliver_due(server(sink, security="tls"))

    assert "CREDBOARD_SMTP_SECURITY" in now_of(mail).error


def test_a_wrong_password_is_tried_slowly_and_never_repeated(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ca = authority.ca_file.read_text()
    with SmtpSink(security="starttls", certificate=authority.server("wrong"), users={"credboard": "other"}) as sink:
        first, second = wanted("report:1"), wanted("report:2")
        begun = timezone.now()
        deliver_due(server(sink, security="starttls", ca=ca, user="credboard", password=PASSWORD))

    assert sink.sign_ins == ["credboard"]
    assert (now_of(first).state, now_of(second).state) == ("queued", "queued")
    assert "refused CREDBOARD_SMTP_USER or its password (535)" in first.error
    assert first.next_try_at is not None
    assert first.next_try_at >= begun + CONFIGURATION_PAUSE * 0.8
    assert first.attempts == 0
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the server's own
    everything = f"{list(Mail.objects.values())} {ours}"
    assert PASSWORD not in everything


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


@pytest.mark.parametrize(("reply", "timeout"), [(KEEP_AND_DROP, 20), (KEEP_AND_HOLD, 0.5)])
def test_silence_after_the_end_mark_leaves_the_mail_in_doubt_and_it_is_not_sent_again(
    reply: str, timeout: float, sink: SmtpSink
) -> None:
    sink.answers["data"].append(reply)
    mail = wanted()

    tally = deliver_due(server(sink, timeout=timeout))
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


def test_with_mail_off_nothing_is_sent_and_nothing_is_lost(settings: Settings) -> None:
    settings.SMTP_SERVER = None
    mail = wanted()

    dispatch_mails()

    assert (now_of(mail).state, mail.attempts) == ("queued", 0)


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


# Real processes, which die.

WORKER = """
import django
django.setup()
from django.conf import settings
from dashboard.mail.delivery import deliver_due
deliver_due(settings.SMTP_SERVER)
"""


@pytest.fixture(name="database")
def _database(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    with shared_database(tmp_path) as url:
        yield url


def environment_of(sink: SmtpSink, database: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": database,
        "CREDBOARD_SMTP_HOST": "127.0.0.1",
        "CREDBOARD_SMTP_PORT": str(sink.port),
        "CREDBOARD_SMTP_SECURITY": "none",
        "CREDBOARD_SMTP_TIMEOUT": "60",
        "CREDBOARD_MAIL_FROM": "Credboard <credboard@example.com>",
    }


def worker(sink: SmtpSink, database: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER], env=environment_of(sink, database), cwd=ROOT)


def celery_worker(sink: SmtpSink, database: str, valkey: ValkeyServer, log: Path) -> ServerProcess:
    environment = {
        **environment_of(sink, database),
        "REDIS_URL": valkey.url,
        "CREDBOARD_DATA_DIR": str(log.parent),
        "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
        "CREDBOARD_REDELIVER_AFTER": str(REDELIVER_AFTER),
    }
    command = [sys.executable, "-m", "celery", "-A", "dashboard", "--quiet", "worker", "--concurrency=1"]
    return ServerProcess([*command, f"--hostname={log.stem}@test"], log=log, cwd=ROOT, environment=environment)


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(PATIENCE)


def killed(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL


def wait_for(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_killed_between_acceptance_and_commit_sends_no_second_mail(sink: SmtpSink, database: str) -> None:
    sink.answers["data"].append(KEEP_AND_HOLD)
    mail = wanted()
    process = worker(sink, database)
    assert sink.holding.wait(PATIENCE)  # the server has the mail; its answer is not on the way yet

    killed(process)
    sink.release.set()
    for hours in (0, 1, 12):  # the same task again, other workers, long after the lease
        deliver_due(server(sink), clock=later(timedelta(hours=hours)))

    assert len(sink.messages) == 1
    assert now_of(mail).state == "in-doubt"


def test_a_task_that_is_delivered_again_after_its_worker_died_sends_no_second_mail(
    sink: SmtpSink, database: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    sink.answers["data"].append(KEEP_AND_HOLD)
    doubtful = wanted("report:1")
    app = Celery("web", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = valkey.url
    app.send_task("dashboard.tasks.dispatch_mails")
    app.close()
    first = celery_worker(sink, database, valkey, tmp_path / "first.log")
    try:
        assert sink.holding.wait(PATIENCE), first.log_tail()
        os.killpg(first.pid, signal.SIGKILL)  # with its child: nobody is left to tell the broker
    finally:
        first.stop()
        sink.release.set()
    with redis.Redis.from_url(valkey.url) as broker:
        # A worker that starts takes over what nobody acknowledged for so long; later it looks only now and then.
        wait_for(lambda: broker.zcount("unacked_index", 0, time.time() - REDELIVER_AFTER - 1))
    # Only the same task, which the broker gives to the next worker, can send this one.
    other = wanted("report:2")
    second = celery_worker(sink, database, valkey, tmp_path / "second.log")
    try:
        wait_for(lambda: now_of(other).state == "sent")
    finally:
        second.stop()
        valkey.stop()  # what is left in it must not wait for the next test
        valkey.start()

    assert now_of(doubtful).state == "in-doubt"
    assert [one.message["Message-ID"] for one in sink.messages] == [message_id("report:1"), message_id("report:2")]


def test_a_worker_killed_before_the_end_mark_is_made_up_for_by_the_next(sink: SmtpSink, database: str) -> None:
    sink.answers["rcpt"].append(HANG)
    mail = wanted()
    process = worker(sink, database)
    wait_for(lambda: sink.connections and not sink.answers["rcpt"])

    killed(process)
    deliver_due(server(sink))
    assert (now_of(mail).state, sink.messages) == ("sending", [])

    deliver_due(server(sink), clock=later(LEASE + timedelta(minutes=1)))
    assert (now_of(mail).state, len(sink.messages)) == ("sent", 1)


def test_two_workers_at_once_send_each_mail_once(sink: SmtpSink, database: str) -> None:
    for number in range(40):
        wanted(f"report:{number}", to=f"reader-{number}@example.com")

    processes = [worker(sink, database) for _ in range(2)]

    assert [ended(process) for process in processes] == [0, 0]
    recipients = [one.recipients[0] for one in sink.messages]
    assert sorted(recipients) == sorted(f"reader-{number}@example.com" for number in range(40))
    assert set(Mail.objects.values_list("state", flat=True)) == {"sent"}


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
