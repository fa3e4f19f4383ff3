"""Real processes, which die, and still no mail goes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from dashboard.mail.delivery import deliver_due
from dashboard.mail.message import message_id
from dashboard.models import Mail
from dashboard.models.mail import LEASE
from tests.dashboard.mail_delivery.builders import later, now_of, server, wanted
from tests.rig.process import ServerProcess
from tests.rig.shared_database import shared_database
from tests.rig.smtp import HANG, KEEP_AND_HOLD, SmtpSink
from tests.rig.valkey import ValkeyServer

ROOT = Path(__file__).parent.parent.parent.parent
REDELIVER_AFTER = 2  # seconds
PATIENCE = 180  # seconds, on a machine that does other things as well
# Committing is what all of this is about, so each test has a database that it can commit to.
pytestmark = pytest.mark.django_db(transaction=True)
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
