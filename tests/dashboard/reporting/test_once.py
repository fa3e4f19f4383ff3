"""A report that is due becomes one mail, whoever asks how often."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from dashboard import tasks
from dashboard.models import Mail, Subscription
from dashboard.reports import sending
from dashboard.reports.report import Report
from dashboard.reports.sending import send_due
from dashboard.schedule import following
from scanner.models import Cluster
from tests import factories
from tests.dashboard.reporting.builders import NOW, send, subscribe

pytestmark = pytest.mark.django_db


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
        real = sending.render_report
        other: list[int] = []

        def render(report: Report) -> Any:
            if not other:  # the other worker does it all while this one renders
                other.append(0)
                other[0] = send_due([made.pk], now=NOW)
            return real(report)

        monkeypatch.setattr(sending, "render_report", render)

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
        real = sending.render_report

        def render(report: Report) -> Any:
            Subscription.objects.get(pk=made.pk).switch("off", now=NOW)
            return real(report)

        monkeypatch.setattr(sending, "render_report", render)

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
