"""From what scans stored to a mail in the outbox: what it holds, who sees what, what it costs, and that it is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard import reporting, tasks
from dashboard.mail.server import Sender
from dashboard.models import Acknowledgement, Mail, Subscription
from dashboard.report import Report
from dashboard.reporting import report_for, send_due
from dashboard.schedule import following
from scanner.models import Cluster, Credential, Finding, Namespace, NamespaceOwner, Scan, Transition
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)  # a Monday
QUAY = "registry/quay.io"


@pytest.fixture(autouse=True)
def _world(settings: Any) -> Any:
    settings.MAIL_IS_ON = True
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")
    settings.MAIL_DOMAINS = frozenset({"example.com"})
    settings.PUBLIC_URL = "https://credboard.example.com"
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return factories.cluster(scanned_at=NOW)


def subscribe(address: str = "grace@example.com", user: User | None = None, **fields: Any) -> Subscription:
    """A subscription whose report is due at NOW."""
    made = Subscription.by_default(address, source="profile", user=user)
    for name, value in {"next_send_at": NOW, **fields}.items():
        setattr(made, name, value)
    made.save()
    return made


def send() -> list[Mail]:
    """All mails, after what is due was sent."""
    send_due(list(Subscription.objects.values_list("pk", flat=True)), now=NOW)
    return list(Mail.objects.order_by("to", "pk"))


def changed(of: Namespace, *, before: str, after: str, at: datetime, credential: str = QUAY) -> None:
    column, _ = Credential.objects.get_or_create(cluster=of.cluster, slug=credential)
    was, why = before.split()
    now, now_why = after.split()
    Transition.objects.create(
        namespace=of, credential=column, at=at, status_before=was, reason_before=why, status_after=now,
        reason_after=now_why,
    )  # fmt: skip


class TestContent:
    def test_an_operator_is_told_of_the_cluster(self, cluster: Cluster) -> None:
        ada = factories.operator()
        hurt = factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing", "tls": "critical expired"})
        well = factories.namespace(cluster, "team-audio", cells={"tls": {"expires_at": NOW + timedelta(days=12)}})
        changed(hurt, before="ok covered", after="critical missing", at=NOW - timedelta(days=1))
        changed(well, before="critical missing", after="ok covered", at=NOW - timedelta(days=2))
        factories.finding(hurt)
        for back, critical in ((3, 4), (1, 2)):
            day = NOW - timedelta(days=back)
            factories.scan(cluster, started_at=day, finished_at=day, state=Scan.State.DONE, critical=critical)
        for _ in range(2):
            factories.scan(cluster, started_at=NOW - timedelta(days=2), state=Scan.State.FAILED, error="No answer.")

        told = report_for(subscribe(user=ada), now=NOW)

        (one,) = told.clusters
        assert told.is_operator
        assert (told.counts.critical, told.counts.ok) == (1, 1)
        assert [(item.namespace, item.label) for item in one.new] == [("team-vision", "quay.io")]
        assert [item.namespace for item in one.resolved] == ["team-audio"]
        assert [item.namespace for item in one.expiring] == ["team-audio"]
        assert [line.namespaces for line in one.credentials] == [1, 1]
        assert [(line.words, line.times) for line in one.failed_scans] == [("No answer.", 2)]
        assert [day.critical for day in one.trend] == [4, None, 2, 0]
        (namespace,) = one.namespaces
        assert [item.what for item in namespace.items] == [
            "Pod web-0 names the pull Secret regcred, which is not here.",
            "Expired.",
        ]

    def test_an_owner_is_told_of_their_namespaces_with_a_link_for_each_repair(self, cluster: Cluster) -> None:
        grace = factories.owner()
        factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"}, owners=("grace",))
        factories.namespace(cluster, "team-other", cells={QUAY: "critical missing"}, owners=("ada",))
        subscribe(user=grace)

        (mail,) = send()

        assert "team-vision" in mail.text
        assert "https://credboard.example.com/n/prod-eu/team-vision/cells/registry/quay.io/" in mail.text
        assert "https://credboard.example.com/n/prod-eu/team-vision/acknowledge/registry/quay.io/" in mail.text
        assert "team-other" not in mail.text + mail.html

    def test_groups_count_at_the_moment_of_sending(self, cluster: Cluster) -> None:
        grace = factories.owner()
        grace.groups.add(Group.objects.create(name="vision"))
        made = factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"})
        NamespaceOwner.objects.create(namespace=made, kind="group", name="vision", source="rolebinding")
        subscription = subscribe(user=grace)
        assert report_for(subscription, now=NOW).counts.total == 1

        grace.groups.clear()

        assert not report_for(subscription, now=NOW).clusters
        assert send() == []

    def test_who_is_an_operator_no_more_is_told_of_their_own_namespaces(self, cluster: Cluster) -> None:
        ada = factories.operator()
        factories.namespace(cluster, "team-other", cells={QUAY: "critical missing"})
        factories.namespace(cluster, "team-ada", owners=("ada",), cells={QUAY: "ok covered"})
        subscription = subscribe(user=ada)
        User.objects.update(is_staff=False)
        subscription = Subscription.objects.get(pk=subscription.pk)

        assert report_for(subscription, now=NOW).counts.total == 1
        assert "team-other" not in send()[0].text

    def test_stale_namespaces_are_told_and_are_not_good(self, cluster: Cluster) -> None:
        old = NOW - timedelta(hours=3)
        factories.namespace(cluster, "team-vision", cells={QUAY: "ok covered"}, owners=("grace",), scanned_at=old)

        told = report_for(subscribe(user=factories.owner()), now=NOW)

        assert not told.is_good
        assert [(one.name, one.scanned_at) for one in told.clusters[0].unseen] == [("team-vision", old)]

    def test_what_credboard_may_not_read_is_told(self, cluster: Cluster) -> None:
        blind = {"unreadable": {"secrets": "forbidden"}, "status": "unknown", "rank": 2, "reason": "not-checked"}
        factories.namespace(cluster, "team-vision", owners=("grace",), **blind)

        told = report_for(subscribe(user=factories.owner()), now=NOW)

        assert [one.name for one in told.clusters[0].unseen] == ["team-vision"]

    def test_what_is_acknowledged_is_set_apart_with_the_persons_words(self, cluster: Cluster) -> None:
        made = factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"}, owners=("grace",))
        Acknowledgement.objects.create(
            namespace=made, credential=QUAY, status="critical", reason="missing", note="Rotation on Friday",
            actor="ada", until=NOW + timedelta(days=8),
        )  # fmt: skip
        told = report_for(subscribe(user=factories.owner()), now=NOW)

        assert told.is_good
        (item,) = told.clusters[0].acknowledged
        assert item.note == "Acknowledged by ada until 2026-12-01: Rotation on Friday"

    def test_the_worst_open_finding_says_what_is_wrong(self, cluster: Cluster) -> None:
        made = factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"}, owners=("grace",))
        factories.finding(made, "PS03", status="warning", message="Not the worst.")
        factories.finding(made, "PS01", message="The worst.")
        factories.finding(made, "PS02", object="Secret/x", message="Over.", resolved_at=NOW)

        (namespace,) = report_for(subscribe(user=factories.owner()), now=NOW).clusters[0].namespaces

        assert [item.what for item in namespace.items] == ["The worst."]

    def test_a_cluster_that_is_not_scanned_any_more_on_purpose_is_left_out(self, cluster: Cluster) -> None:
        factories.cluster("demo", next_scan_at=None)
        factories.namespace(Cluster.objects.get(name="demo"), "old", scanned_at=NOW - timedelta(days=9))

        told = report_for(subscribe(user=factories.operator()), now=NOW)

        assert [one.name for one in told.clusters] == ["prod-eu"]


class TestMail:
    def test_it_carries_the_headers_of_a_one_click_unsubscription(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        made = subscribe()

        (mail,) = send()

        assert mail.key == f"report:{made.pk}:2026-11-16T09:00:00+00:00"
        assert (mail.kind, mail.to) == ("report", "grace@example.com")
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail.headers["List-Unsubscribe"] == f"<{reporting.unsubscribe_url(made)}>"

    def test_nothing_wrong_is_a_short_mail_and_not_silence(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        subscribe()

        assert len(send()) == 1

    def test_who_wants_silence_then_gets_it_and_the_next_is_planned(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        made = subscribe(sends_when_well=False)

        assert send() == []
        made.refresh_from_db()
        assert made.next_send_at == NOW + timedelta(days=7)

    def test_silence_ends_when_something_is_wrong_or_was_not_seen(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",), scanned_at=NOW - timedelta(days=1))
        subscribe(sends_when_well=False)

        assert len(send()) == 1

    def test_who_owns_nothing_gets_nothing(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("ada@example.com",))
        subscribe()

        assert send() == []
        assert not Subscription.objects.due(NOW).exists()

    def test_an_address_that_may_not_be_written_to_any_more_gets_nothing(self, cluster: Cluster, settings: Any) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        subscribe()
        settings.MAIL_DOMAINS = frozenset()

        assert send() == []

    def test_without_a_mail_server_nothing_is_made_and_all_stays_due(self, cluster: Cluster, settings: Any) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        subscribe()
        settings.MAIL_IS_ON = False

        tasks.dispatch_reports()
        tasks.subscribe_people()

        assert Subscription.objects.due(NOW).count() == 1
        assert not Mail.objects.exists()

    def test_one_that_cannot_be_made_does_not_keep_the_others_and_is_told(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ada", "grace"):
            factories.namespace(cluster, f"team-{name}", owners=(f"{name}@example.com",))
            subscribe(f"{name}@example.com")
        real = reporting.render_report

        def render(report: Report) -> Any:
            if report.reader == "ada@example.com":
                raise LookupError("no template")
            return real(report)

        monkeypatch.setattr(reporting, "render_report", render)
        with pytest.raises(ExceptionGroup, match="1 of 2 reports"):
            send()
        assert [mail.to for mail in Mail.objects.all()] == ["grace@example.com"]

        monkeypatch.setattr(reporting, "render_report", real)
        assert [mail.to for mail in send()] == ["ada@example.com", "grace@example.com"]


class TestCost:
    def queries(self, action: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as captured:
            action()
        return len([one for one in captured.captured_queries if "SAVEPOINT" not in one["sql"]])

    def world(self, cluster: Cluster, people: int, namespaces: int) -> None:
        for person in range(people):
            for number in range(namespaces):
                cells = {QUAY: "critical missing", "tls": "warning expiring"}
                owner = f"person-{person}@example.com"
                made = factories.namespace(cluster, f"team-{person}-{number}", cells=cells, owners=(owner,))
                factories.finding(made)
                changed(made, before="ok covered", after="critical missing", at=NOW - timedelta(days=1))
            subscribe(f"person-{person}@example.com")

    def test_a_mail_costs_the_same_queries_however_much_it_tells(self, cluster: Cluster) -> None:
        self.world(cluster, 1, 1)
        few = self.queries(send)
        Namespace.objects.all().delete()
        Subscription.objects.all().delete()
        self.world(cluster, 1, 25)

        assert self.queries(send) == few

    def test_what_mails_have_in_common_is_read_once(self, cluster: Cluster) -> None:
        self.world(cluster, 1, 2)
        one = self.queries(send)
        Namespace.objects.all().delete()
        Subscription.objects.all().delete()
        self.world(cluster, 11, 2)

        # Which Namespaces, the claim, and the row of the outbox.
        assert self.queries(send) - one == 10 * 3

    def test_operators_share_what_they_are_told(self, cluster: Cluster) -> None:
        self.world(cluster, 0, 0)
        factories.namespace(cluster, cells={QUAY: "critical missing"})
        subscribe("ada@example.com", user=factories.operator("ada"))
        one = self.queries(send)
        for number in range(5):
            subscribe(f"ada-{number}@example.com", user=factories.operator(f"ada-{number}"))
        Subscription.objects.update(next_send_at=NOW, sent_until=None)
        Mail.objects.all().delete()

        assert self.queries(send) - one == 5 * 3


class TestOnce:
    def test_however_often_the_task_runs_there_is_one_mail(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        subscribe()

        for _ in range(3):
            assert len(send()) == 1

    def test_of_two_workers_in_the_same_moment_one_sends(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        made = subscribe()
        real = reporting.render_report
        other: list[int] = []

        def render(report: Report) -> Any:
            if not other:  # the other worker does it all while this one renders
                other.append(0)
                other[0] = send_due([made.pk], now=NOW)
            return real(report)

        monkeypatch.setattr(reporting, "render_report", render)

        assert send_due([made.pk], now=NOW) == 0
        assert other == [1]
        assert Mail.objects.count() == 1

    def test_a_mail_that_is_in_the_outbox_already_is_not_wanted_again(self, cluster: Cluster) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        made = subscribe()
        send()
        Subscription.objects.filter(pk=made.pk).update(next_send_at=NOW, sent_until=None)  # an old backup, say

        assert len(send()) == 1

    def test_who_unsubscribes_while_it_is_made_gets_none(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.namespace(cluster, owners=("grace@example.com",))
        made = subscribe()
        real = reporting.render_report

        def render(report: Report) -> Any:
            Subscription.objects.get(pk=made.pk).switch("off", now=NOW)
            return real(report)

        monkeypatch.setattr(reporting, "render_report", render)

        assert send() == []

    def test_two_beats_over_a_month_send_each_person_one_mail_for_each_period(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = datetime(2026, 10, 12, tzinfo=UTC)  # the clocks of Europe go back within
        plans = [
            ("daily", 0, 2, "Europe/Berlin"),
            ("daily", 0, 0, "Australia/Lord_Howe"),
            ("weekly", 0, 9, "UTC"),
            ("weekly", 6, 2, "Europe/Berlin"),
            ("weekly", 4, 23, "Pacific/Pago_Pago"),
            ("monthly", 0, 9, "Asia/Kathmandu"),
            ("off", 0, 9, "UTC"),
        ]
        people = {}
        for number, (frequency, weekday, hour, zone) in enumerate(plans):
            address = f"person-{number}@example.com"
            factories.namespace(cluster, f"team-{number}", owners=(address,))
            people[address] = subscribe(address, frequency=frequency, weekday=weekday, hour=hour, time_zone=zone)
            people[address].plan(now=begin)
            people[address].save()
        sent: list[list[int]] = []
        monkeypatch.setattr(tasks.send_reports, "apply_async", lambda args, **_: sent.append(args[0]))

        at = begin
        while (at := at + timedelta(minutes=30)) <= begin + timedelta(days=31):
            with time_machine.travel(at, tick=False):
                for _ in range(2):  # beats
                    tasks.dispatch_reports()
                for subscriptions in (*sent, *reversed(sent)):  # and each task is delivered twice
                    tasks.send_reports(subscriptions)
                sent.clear()

        made = Counter(Mail.objects.values_list("to", flat=True))
        for address, subscription in people.items():
            assert made[address] == len(dues(subscription, begin, begin + timedelta(days=31))), address
        assert sorted(made.values()) == [1, 4, 4, 5, 30, 31]


def dues(subscription: Subscription, begin: datetime, end: datetime) -> list[datetime]:
    found, at = [], begin
    plan = (subscription.frequency, subscription.weekday, subscription.hour, subscription.time_zone)
    while (due := following(*plan, at)) is not None and due <= end:
        found.append(due)
        at = due
    return found


def test_a_preview_of_what_is_not_saved_changes_nothing(cluster: Cluster) -> None:
    factories.namespace(cluster, owners=("grace",), cells={QUAY: "critical missing"})
    made = Subscription.by_default("grace@example.com", source="person", user=factories.owner())

    told = report_for(made, now=NOW)

    assert told.unsubscribe_url == ""
    assert told.settings_url == "https://credboard.example.com/settings/report/"
    assert not Subscription.objects.exists()
    assert not Finding.objects.exists()


def test_who_came_by_a_header_and_is_no_operator_any_more_is_told_of_their_own_only(
    cluster: Cluster, settings: Any
) -> None:
    settings.OPERATORS = frozenset()
    boss = User.objects.create_user(username="boss@example.com", is_staff=True)
    factories.namespace(cluster, "team-vision", owners=("boss@example.com",), cells={QUAY: "critical missing"})
    factories.namespace(cluster, "team-audio", cells={QUAY: "critical missing"})
    subscribe("boss@example.com", user=boss)

    (mail,) = send()

    assert "team-vision" in mail.text
    assert "team-audio" not in mail.text
    assert mail.subject.startswith("Your Namespaces")
