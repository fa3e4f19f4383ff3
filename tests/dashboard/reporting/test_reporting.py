"""From what scans stored to a mail in the outbox: what it holds, who sees what, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard import tasks
from dashboard.models import Acknowledgement, Mail, Subscription
from dashboard.reports import sending
from dashboard.reports.report import Report
from dashboard.reports.sending import report_for
from scanner.models import Cluster, Finding, Namespace, NamespaceOwner, Scan
from tests import factories
from tests.dashboard.reporting.builders import NOW, QUAY, changed, send, subscribe

pytestmark = pytest.mark.django_db


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

    def test_groups_count_at_the_moment_of_sending(self, cluster: Cluster, settings: Any) -> None:
        settings.GROUPS_HEADER = "kubeflow-groups"
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

    def test_of_equals_the_cause_is_told_and_not_the_pull_that_fails_of_it(self, cluster: Cluster) -> None:
        made = factories.namespace(cluster, "team-vision", cells={QUAY: "critical missing"}, owners=("grace",))
        factories.finding(made, "PO01", object="Pod/web-0", message="The pull that fails.")
        factories.finding(made, "PS01", message="The cause.")

        (namespace,) = report_for(subscribe(user=factories.owner()), now=NOW).clusters[0].namespaces

        assert [item.what for item in namespace.items] == ["The cause."]

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
        assert mail.headers["List-Unsubscribe"] == f"<{sending.unsubscribe_url(made)}>"

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
        real = sending.render_report

        def render(report: Report) -> Any:
            if report.reader == "ada@example.com":
                raise LookupError("no template")
            return real(report)

        monkeypatch.setattr(sending, "render_report", render)
        with pytest.raises(ExceptionGroup, match="1 of 2 reports"):
            send()
        assert [mail.to for mail in Mail.objects.all()] == ["grace@example.com"]

        monkeypatch.setattr(sending, "render_report", real)
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
