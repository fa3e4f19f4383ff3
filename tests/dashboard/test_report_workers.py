"""Workers that die while they make a report: real processes on a database that they share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from dashboard.models import Mail, Subscription
from tests import factories
from tests.rig.shared_database import shared_database

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 180  # seconds, on a machine that does other things as well
ADDRESS = "grace@example.com"

pytestmark = pytest.mark.django_db(transaction=True)

#: A worker that makes all reports that are due, and is killed at a step of it, as by a kernel that is short of memory.
WORKER = """
import os, signal, sys
import django
django.setup()
from django.utils import timezone
from dashboard.reports import sending
from dashboard.models import Subscription
from dashboard.models.mail import MailQuerySet

def dies(step):
    def dying(*args, **kwargs):
        result = step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return result
    return dying

if sys.argv[1] == "rendered":
    sending.render_report = dies(sending.render_report)
elif sys.argv[1] == "claimed":
    Subscription.claim = dies(Subscription.claim)
elif sys.argv[1] == "put into the outbox":
    MailQuerySet.enqueue = dies(MailQuerySet.enqueue)
elif sys.argv[1] == "committed":
    sending._Round.send = dies(sending._Round.send)
sending.send_due(list(Subscription.objects.values_list("pk", flat=True)), now=timezone.now())
"""


@pytest.fixture(name="database")
def _database(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    with shared_database(tmp_path) as url:
        yield url


def worker(database: str, step: str = "") -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": database,
        "CREDBOARD_SECRET_KEY": "for one test and for every process of it, fifty letters",
        "CREDBOARD_MAIL_DOMAINS": "example.com",
        "CREDBOARD_MAIL_FROM": "Credboard <credboard@example.com>",
    }
    return subprocess.Popen([sys.executable, "-c", WORKER, step], env=environment, cwd=ROOT)


def make_due() -> Subscription:
    factories.namespace(factories.cluster(), owners=(ADDRESS,), cells={"tls": "critical expired"})
    made = Subscription.by_default(ADDRESS, source="profile")
    made.next_send_at = timezone.now()
    made.save()
    return made


@pytest.mark.parametrize("step", ["rendered", "claimed", "put into the outbox", "committed"])
def test_a_worker_killed_at_any_step_leaves_one_mail_for_the_next_to_make_or_to_leave_alone(
    database: str, step: str
) -> None:
    made = make_due()

    assert worker(database, step).wait(PATIENCE) == -signal.SIGKILL

    is_done = step == "committed"
    assert Mail.objects.count() == is_done
    assert Subscription.objects.due(timezone.now()).exists() is not is_done

    assert worker(database).wait(PATIENCE) == 0
    assert [mail.to for mail in Mail.objects.all()] == [ADDRESS]
    made.refresh_from_db()
    assert made.next_send_at is not None
    assert made.next_send_at > timezone.now()


def test_workers_that_run_at_once_make_one_mail_for_each_person(database: str) -> None:
    cluster = factories.cluster()
    people = {f"person-{number}@example.com" for number in range(12)}
    for person in people:
        factories.namespace(cluster, f"team-{person.partition('@')[0]}", owners=(person,))
        made = Subscription.by_default(person, source="profile")
        made.next_send_at = timezone.now()
        made.save()

    for process in [worker(database) for _ in range(3)]:
        assert process.wait(PATIENCE) == 0

    assert sorted(Mail.objects.values_list("to", flat=True)) == sorted(people)
