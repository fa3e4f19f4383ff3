"""What is forgotten, what is not, and in which portions."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard import retention, tasks
from dashboard.models import Acknowledgement, AlertMessage, AlertRoute, FailedSignIn, Mail
from scanner.models import AuditEntry, Finding, Namespace, NamespaceOwner, Scan, Transition
from tests import factories

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def days(number: float) -> datetime:
    return NOW - timedelta(days=number)


@pytest.fixture
def namespace() -> Namespace:
    return factories.namespace(factories.cluster(), cells={"tls": "ok valid"})


def transition(of: Namespace, at: datetime) -> Transition:
    column = of.cells.get().credential if of.cells.exists() else factories.cell(of).credential
    return Transition.objects.create(
        namespace=of, credential=column, at=at, status_before="ok", status_after="critical"
    )


def acknowledgement(of: Namespace, **fields: Any) -> Acknowledgement:
    values = {"credential": "tls", "status": "critical", "reason": "x", "note": "known", "actor": "ada"} | fields
    return Acknowledgement.objects.create(namespace=of, **values)


def mail(key: str, **fields: Any) -> Mail:
    return Mail.objects.create(key=key, kind="report", to="grace@example.com", subject="x", text="x", **fields)


def alert(namespace: Namespace, **fields: Any) -> AlertMessage:
    route, _ = AlertRoute.objects.get_or_create(
        name="chat", defaults={"url": b"x", "service": "x", "created_by": "ada"}
    )
    return AlertMessage.objects.create(route=route, cluster=namespace.cluster, credential="tls", due_at=NOW, **fields)


def test_old_scans_go_but_for_the_first_the_last_good_one_and_those_that_run() -> None:
    cluster = factories.cluster()
    first, good, old, running, new = (
        factories.scan(cluster, started_at=days(at), state=state)
        for at, state in ((90, "failed"), (60, "done"), (50, "failed"), (40, "running"), (1, "failed"))
    )
    of_namespace = factories.scan(cluster, namespace="team", started_at=days(30), state="done")

    deleted = retention.prune(now=NOW)

    assert deleted["scans"] == 2
    assert set(Scan.objects.values_list("pk", flat=True)) == {first.pk, good.pk, running.pk, new.pk}
    assert not Scan.objects.filter(pk__in=[old.pk, of_namespace.pk]).exists()


def test_history_goes_and_what_is_open_stays_however_old_it_is(namespace: Namespace) -> None:
    old, new = transition(namespace, days(91)), transition(namespace, days(89))
    open_finding = factories.finding(namespace, first_seen_at=days(900))
    resolved = factories.finding(namespace, "PS02", resolved_at=days(91))
    lately = factories.finding(namespace, "PS03", resolved_at=days(89))
    ended, over, holds = (
        acknowledgement(namespace, until=days(-900), ended_at=days(91)),
        acknowledgement(namespace, until=days(91), credential="registry/quay.io"),
        acknowledgement(namespace, until=days(-30), created_at=days(400)),
    )

    retention.prune(now=NOW)

    assert list(Transition.objects.all()) == [new]
    assert set(Finding.objects.all()) == {open_finding, lately}
    assert list(Acknowledgement.objects.all()) == [holds]
    assert not Finding.objects.filter(pk=resolved.pk).exists()
    assert not Transition.objects.filter(pk=old.pk).exists()
    assert not Acknowledgement.objects.filter(pk__in=[ended.pk, over.pk]).exists()


def test_a_namespace_that_is_gone_is_forgotten_with_its_history(namespace: Namespace) -> None:
    cluster = namespace.cluster
    gone = factories.namespace(cluster, "gone", owners=("grace",), gone_at=days(31))
    lately = factories.namespace(cluster, "lately", owners=("grace",), gone_at=days(29))
    for one in (gone, lately, namespace):
        transition(one, days(40))
    factories.finding(gone, resolved_at=days(31))

    deleted = retention.prune(now=NOW)

    assert set(Namespace.objects.all()) == {namespace, lately}
    assert NamespaceOwner.objects.get().namespace == lately
    assert Transition.objects.count() == 2
    assert (deleted["Namespaces"], deleted["changes of cells"], deleted["resolved findings"]) == (1, 1, 1)


def test_a_namespace_with_an_open_finding_stays(namespace: Namespace) -> None:
    gone = factories.namespace(namespace.cluster, "back", gone_at=days(31))
    factories.finding(gone)

    retention.prune(now=NOW)

    assert Namespace.objects.filter(pk=gone.pk).exists()


def test_mails_and_alerts_go_once_they_are_settled(namespace: Namespace) -> None:
    mail("sent", state="sent", settled_at=days(91))
    mail("failed", state="failed", settled_at=days(91))
    kept = {
        mail("queued", state="queued", created_at=days(400)),
        mail("sending", state="sending", settled_at=days(91)),
        mail("lately", state="sent", settled_at=days(89)),
    }
    alert(namespace, state="sent", sealed_at=days(91))
    alert(namespace, state="given up", sealed_at=days(91))
    waiting = {
        alert(namespace, state="pending", sealed_at=days(91)),
        alert(namespace, state="collecting", news="a"),
        alert(namespace, state="sent", sealed_at=days(89)),
    }

    retention.prune(now=NOW)

    assert set(Mail.objects.all()) == kept
    assert set(AlertMessage.objects.all()) == waiting


def test_audit_sign_ins_and_sessions_go_in_their_own_time() -> None:
    for at in (days(731), days(729)):
        AuditEntry.objects.create(at=at, actor="ada", action="create", outcome="done")
        FailedSignIn.objects.create(key="x", at=at)
    FailedSignIn.objects.create(key="x", at=NOW)
    for key, end in (("a", days(0.1)), ("b", days(-1))):
        Session.objects.create(session_key=key, session_data="", expire_date=end)

    retention.prune(now=NOW)

    assert (AuditEntry.objects.count(), FailedSignIn.objects.count()) == (1, 1)
    assert Session.objects.get().session_key == "b"


def test_each_setting_says_how_long(settings: Any) -> None:
    settings.AUDIT_RETENTION = 10
    AuditEntry.objects.create(at=days(11), actor="ada", action="create", outcome="done")

    assert retention.prune(now=NOW)["audit entries"] == 1


def test_rows_go_in_batches_of_a_bounded_size() -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(at=days(800), actor="ada", action="create", outcome="done") for _ in range(25)
    )

    with CaptureQueriesContext(connection) as queries:
        deleted = retention.prune(now=NOW, batch=10)

    assert deleted["audit entries"] == 25
    deletions = [one["sql"] for one in queries if one["sql"].startswith("DELETE") and "auditentry" in one["sql"]]
    assert len(deletions) == 3


def test_running_it_again_does_nothing() -> None:
    AuditEntry.objects.create(at=days(800), actor="ada", action="create", outcome="done")
    retention.prune(now=NOW)

    assert not any(retention.prune(now=NOW).values())


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_delete_everything_once(settings: Any) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    AuditEntry.objects.bulk_create(
        AuditEntry(at=days(800), actor="ada", action="create", outcome="done") for _ in range(300)
    )
    deleted: list[int] = []

    def run() -> None:
        try:
            deleted.append(retention.prune(now=NOW, batch=20)["audit entries"])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    retention.prune(now=NOW)

    assert len(deleted) == 3
    assert sum(deleted) <= 300
    assert not AuditEntry.objects.exists()


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return " ".join(out.getvalue().split())


def test_the_command_says_what_went_and_why() -> None:
    AuditEntry.objects.create(at=days(800), actor="ada", action="create", outcome="done")

    dry = command("--dry-run")
    assert "audit entries 1 (CREDBOARD_AUDIT_RETENTION_DAYS)" in dry
    assert "Nothing was deleted" in dry
    assert AuditEntry.objects.count() == 1

    assert "1 row was deleted." in command()
    assert AuditEntry.objects.count() == 0


def test_it_is_done_every_night() -> None:
    entry = configured.CELERY_BEAT_SCHEDULE["prune"]
    assert entry["task"] == tasks.prune.name
    AuditEntry.objects.create(at=days(800), actor="ada", action="create", outcome="done")

    tasks.prune()

    assert AuditEntry.objects.count() == 0
