"""Reports at size: making and sending one mail for each of N owners, and one for an operator, to a mail server here.

On DATABASE_URL, which must be empty, else on SQLite in CREDBOARD_DATA_DIR. Seconds of work are what this process
worked, the mail server's thread included; the wall clock stands beside them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.rig.smtp import SmtpSink

OWNERS, NAMESPACES_EACH, CREDENTIALS = 2_000, 2, 8
MOST_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of this process and on the wall, and queries."""

    work: float
    wall: float
    queries: int


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from dashboard.mail.delivery import deliver_due
    from dashboard.mail.server import Sender, SmtpServer
    from dashboard.models import Mail, Subscription
    from dashboard.reports.sending import send_due
    from dashboard.tasks import REPORTS_OF_A_TASK
    from tests.rig.smtp import SmtpSink

    owners = int(sys.argv[1]) if len(sys.argv) > 1 else OWNERS
    settings.MAIL_IS_ON, settings.MAIL_FROM = True, Sender(name="Credboard", address="credboard@example.com")
    settings.MAIL_DOMAINS = frozenset({"example.com"})
    call_command("migrate", verbosity=0)
    now = timezone.now()
    fill(owners, now=now)

    def make() -> None:
        due = list(Subscription.objects.due(now).values_list("pk", flat=True))
        for first in range(0, len(due), REPORTS_OF_A_TASK):
            send_due(due[first : first + REPORTS_OF_A_TASK], now=now)

    def deliver() -> None:
        server = SmtpServer(host="127.0.0.1", port=sink.port, security="none")
        while deliver_due(server, longest=timedelta(hours=1)).sent:
            pass

    made = measured(make)
    with SmtpSink() as sink:
        sent = measured(deliver)
        arrived = came(sink)
    mails = Mail.objects.count()
    work = made.work + sent.work
    print(f"\nReports, {owners:,} owners of {NAMESPACES_EACH} Namespaces each and an operator, {connection.vendor}")
    print(f"  made   {made.work:6.1f} s of work, {made.wall:6.1f} s, {made.queries / mails:5.2f} queries a mail")
    print(f"  sent   {sent.work:6.1f} s of work, {sent.wall:6.1f} s, {sent.queries / mails:5.2f} queries a mail")
    print(f"  {'met    ' if work <= MOST_SECONDS else 'NOT MET'}  all of it: ≤ {MOST_SECONDS} s of work {work:8.1f}")
    once = arrived == mails == owners + 1
    print(f"  {'met    ' if once else 'NOT MET'}  each came once: {arrived:,} of {owners + 1:,}")


def came(sink: SmtpSink) -> int:
    """How many people got a mail, if nobody got two; else 0."""
    people = [one.recipients[0] for one in sink.messages]
    return len(people) if len(set(people)) == len(people) else 0


def measured(action: Callable[[], None]) -> Cost:
    from django.db import connection

    queries = 0

    def counted(execute: Callable[..., object], *rest: object) -> object:
        nonlocal queries
        queries += 1
        return execute(*rest)

    wall, work = time.perf_counter(), time.process_time()
    with connection.execute_wrapper(counted):
        action()
    return Cost(work=time.process_time() - work, wall=time.perf_counter() - wall, queries=queries)


def fill(owners: int, *, now: datetime) -> None:
    """A cluster where one Namespace in four has a problem that began this week, with a finding and a change each."""
    from django.contrib.auth.models import User

    from dashboard.models import Subscription
    from scanner.check import rank
    from scanner.models import Cell, Cluster, Credential, Finding, Namespace, NamespaceOwner, Scan, Transition

    cluster = Cluster.objects.create(name="bench", next_scan_at=now + timedelta(hours=1), scan_interval=86_400)
    slugs = [f"registry/registry-{number}.example.com" for number in range(CREDENTIALS)]
    columns = Credential.objects.bulk_create(Credential(cluster=cluster, slug=slug) for slug in slugs)
    began = now - timedelta(days=2)
    namespaces = []
    for row in range(owners * NAMESPACES_EACH):
        status = "ok" if row % 4 else "critical"
        namespaces.append(
            Namespace(
                cluster=cluster,
                name=f"team-{row:05}",
                status=status,
                rank=rank(status),
                reason="" if row % 4 else "missing",
                scanned_at=now,
            )
        )
    Namespace.objects.bulk_create(namespaces, batch_size=500)
    hurt = namespaces[::4]
    statuses = {(one.pk, columns[one.pk % CREDENTIALS].pk) for one in hurt}
    cells = []
    for one in namespaces:
        for column in columns:
            status = "critical" if (one.pk, column.pk) in statuses else "ok"
            reason = "missing" if status == "critical" else "covered"
            cells.append(
                Cell(namespace=one, credential=column, status=status, rank=rank(status), reason=reason, since=began)
            )
    Cell.objects.bulk_create(cells, batch_size=500)
    Transition.objects.bulk_create(
        (
            Transition(
                namespace=one,
                credential=columns[one.pk % CREDENTIALS],
                at=began,
                status_before="ok",
                reason_before="covered",
                status_after="critical",
                reason_after="missing",
            )
            for one in hurt
        ),
        batch_size=500,
    )
    Finding.objects.bulk_create(
        (
            Finding(
                namespace=one,
                code="PS01",
                object="Secret/regcred",
                credential=slugs[one.pk % CREDENTIALS],
                status="critical",
                rank=rank("critical"),
                reason="missing",
                message="Pod web-0 names the pull Secret regcred, which is not here.",
                first_seen_at=began,
                last_seen_at=now,
            )
            for one in hurt
        ),
        batch_size=500,
    )
    people = [f"person-{number}@example.com" for number in range(owners)]
    NamespaceOwner.objects.bulk_create(
        (
            NamespaceOwner(namespace=one, kind="user", name=people[row % owners], source="profile")
            for row, one in enumerate(namespaces)
        ),
        batch_size=500,
    )
    Scan.objects.bulk_create(
        (
            Scan(cluster=cluster, state="done", started_at=now - timedelta(minutes=n), finished_at=now, critical=n % 40)
            for n in range(14 * 24 * 60)
        ),
        batch_size=1_000,
    )
    ada = User.objects.create_user("ada", email="ada@example.com", is_staff=True)
    subscriptions = [Subscription.by_default("ada@example.com", source="operator", user=ada)]
    subscriptions += [Subscription.by_default(person, source="profile") for person in people]
    for subscription in subscriptions:
        subscription.next_send_at = now
    Subscription.objects.bulk_create(subscriptions, batch_size=500)


if __name__ == "__main__":
    main()
