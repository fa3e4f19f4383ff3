"""Subscriptions: their due moment, who may claim it, and the page on which people choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import reverse

from dashboard.mail.server import Sender
from dashboard.models import Mail, Subscription
from dashboard.reports import settings as report_settings
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)  # a Saturday
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
CHOICES = {
    "frequency": "monthly",
    "weekday": "2",
    "hour": "7",
    "time_zone": "Asia/Tokyo",
    "address": "grace@example.com",
    "sends_when_well": "on",
}


@pytest.fixture(autouse=True)
def _mail_is_on(settings: Any) -> None:
    settings.MAIL_IS_ON = True
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")


def subscribed(address: str = "grace@example.com", **fields: Any) -> Subscription:
    made = Subscription.by_default(address, source="person")
    for name, value in fields.items():
        setattr(made, name, value)
    made.plan(now=NOW)
    made.save()
    return made


def person(email: str = "grace@example.com") -> tuple[User, Client]:
    user = factories.owner()
    user.email = email
    user.save()
    client = Client()
    client.force_login(user)
    return user, client


class TestClaim:
    def test_a_new_one_is_due_at_the_weekday_and_hour_of_the_settings(self, settings: Any) -> None:
        assert subscribed().next_send_at == MONDAY
        settings.REPORT_WEEKDAY, settings.REPORT_HOUR, settings.REPORT_TIME_ZONE = 1, 7, "Asia/Tokyo"
        assert subscribed("ada@example.com").next_send_at == datetime(2026, 11, 23, 22, tzinfo=UTC)

    def test_of_two_who_read_the_same_moment_one_gets_it(self) -> None:
        subscribed()
        first, second = Subscription.objects.get(), Subscription.objects.get()

        assert first.claim(now=MONDAY)
        assert not second.claim(now=MONDAY)
        assert Subscription.objects.get().next_send_at == MONDAY + timedelta(days=7)
        assert not Subscription.objects.due(MONDAY).exists()

    def test_one_that_was_switched_off_meanwhile_cannot_be_claimed(self) -> None:
        made = subscribed()
        Subscription.objects.get().switch("off", now=NOW)

        assert not made.claim(now=MONDAY)

    def test_one_whose_address_was_changed_meanwhile_cannot_be_claimed(self) -> None:
        made = subscribed()
        Subscription.objects.update(address="ada@example.com")

        assert not made.claim(now=MONDAY)

    def test_after_a_long_silence_one_report_is_due_and_not_one_for_each_week(self) -> None:
        made = subscribed()
        late = MONDAY + timedelta(days=23)

        assert made.claim(now=late)
        assert made.next_send_at == MONDAY + timedelta(days=28)

    def test_the_time_of_a_report_begins_where_that_of_the_last_one_ended(self) -> None:
        made = subscribed()
        assert made.period_start == MONDAY - timedelta(days=7)
        late = MONDAY + timedelta(hours=2)
        made.claim(now=late)
        assert made.period_start == late

    def test_it_never_looks_back_for_more_than_the_longest_month(self) -> None:
        made = subscribed(sent_until=NOW - timedelta(days=300))

        assert made.period_start == MONDAY - timedelta(days=35, hours=12)

    def test_one_that_is_off_has_no_time(self) -> None:
        with pytest.raises(ValueError, match="No report is due"):
            _ = subscribed(frequency="off").period_start


class TestPage:
    @time_machine.travel(NOW, tick=False)
    def test_what_is_chosen_is_kept_and_planned(self) -> None:
        user, client = person()

        response = client.post(reverse("report-settings"), CHOICES)

        assert response.status_code == 302
        made = Subscription.objects.get()
        assert (made.user, made.frequency, made.weekday, made.hour, made.time_zone) == (
            user, "monthly", 2, 7, "Asia/Tokyo",
        )  # fmt: skip
        assert made.next_send_at == datetime(2026, 12, 1, 22, tzinfo=UTC)  # 2 December, 07:00 in Tokyo
        page = client.get(reverse("report-settings")).content.decode()
        assert "Wednesday 2026-12-02, 07:00" in page

    def test_who_chose_nothing_yet_is_told_that_they_get_none(self) -> None:
        _, client = person()

        page = client.get(reverse("report-settings")).content.decode()

        assert "You get none at present." in page
        assert "grace@example.com" in page
        assert not Subscription.objects.exists()

    def test_switching_off_leaves_a_row_so_that_nobody_is_subscribed_again(self) -> None:
        _, client = person()
        client.post(reverse("report-settings"), {**CHOICES, "frequency": "off"})

        assert Subscription.objects.get().next_send_at is None

    def test_a_mailbox_that_was_subscribed_before_its_person_came_becomes_theirs(self) -> None:
        subscribed("grace@example.com", source="profile")
        user, client = person()

        client.get(reverse("report-settings"))

        assert Subscription.objects.get().user == user

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("frequency", "hourly", "Select a valid choice"),
            ("weekday", "7", "Select a valid choice"),
            ("hour", "24", "Select a valid choice"),
            ("time_zone", "Mars/Olympus", "Select a valid choice"),
            ("address", "grace", "That is no e-mail address"),
            ("address", "grace@example.com\nBcc: ada@example.com", "That is no e-mail address"),
            ("address", "gräce@example.com", "That is no e-mail address"),
        ],
    )
    def test_what_cannot_be_is_refused_with_a_reason_and_nothing_is_lost(
        self, field: str, value: str, words: str
    ) -> None:
        _, client = person()

        response = client.post(reverse("report-settings"), {**CHOICES, field: value})

        assert response.status_code == 422
        assert words in response.content.decode()
        assert not Subscription.objects.exists()

    @pytest.mark.parametrize("address", ["ada@example.com", "Ada@EXAMPLE.com"])
    def test_an_address_of_someone_else_is_refused(self, address: str) -> None:
        subscribed("ada@example.com")
        _, client = person()

        response = client.post(reverse("report-settings"), {**CHOICES, "address": address})

        assert response.status_code == 422
        assert "Another subscription uses this address" in response.content.decode()


class TestAnotherAddress:
    def link(self) -> str:
        text = Mail.objects.get(kind="confirm-address").text
        return next(line for line in text.splitlines() if "/confirm/" in line).partition("8000")[2]

    def test_it_is_written_to_only_after_its_link_was_opened(self) -> None:
        user, client = person()
        subscribed("grace@example.com", user=user)

        client.post(reverse("report-settings"), {**CHOICES, "address": "grace@home.example"})

        made = Subscription.objects.get()
        assert (made.address, made.frequency) == ("grace@example.com", "monthly")
        mail = Mail.objects.get()
        assert mail.to == "grace@home.example"
        assert client.get(self.link()).status_code == 200
        assert Subscription.objects.get().address == "grace@example.com"
        assert client.post(self.link()).status_code == 302
        assert Subscription.objects.get().address == "grace@home.example"

    def test_without_an_address_of_the_account_nothing_is_kept_before(self) -> None:
        user, client = person(email="")
        client.post(reverse("report-settings"), CHOICES)
        assert not Subscription.objects.exists()

        client.post(self.link())

        made = Subscription.objects.get()
        assert (made.user, made.address, made.hour, made.frequency) == (user, "grace@example.com", 7, "monthly")
        assert made.next_send_at is not None

    def test_the_link_of_one_person_does_nothing_for_another(self) -> None:
        _, client = person(email="")
        client.post(reverse("report-settings"), CHOICES)
        other = Client()
        other.force_login(factories.operator())

        assert other.get(self.link()).status_code == 404
        assert other.post(self.link()).status_code == 404
        assert not Subscription.objects.exists()

    def test_the_link_ends_after_two_days(self) -> None:
        _, client = person(email="")
        with time_machine.travel(NOW):
            client.post(reverse("report-settings"), CHOICES)
        with time_machine.travel(NOW + timedelta(days=2, minutes=1)):
            client.force_login(User.objects.get())
            assert client.post(self.link()).status_code == 404
        assert not Subscription.objects.exists()

    def test_nobodys_mailbox_can_be_filled_from_here(self) -> None:
        _, client = person(email="")
        with time_machine.travel(NOW, tick=False):
            client.post(reverse("report-settings"), CHOICES)
            again = client.post(reverse("report-settings"), {**CHOICES, "address": "ada@example.com"})

        assert again.status_code == 422
        assert "Wait ten minutes" in again.content.decode()
        assert Mail.objects.count() == 1

    def test_an_address_that_someone_took_meanwhile_stays_theirs(self) -> None:
        _, client = person(email="")
        client.post(reverse("report-settings"), CHOICES)
        subscribed("grace@example.com", user=factories.operator())

        assert client.post(self.link()).status_code == 409
        assert Subscription.objects.get().user == User.objects.get(username="ada")

    def test_without_a_mail_server_it_cannot_be_confirmed_and_that_is_said(self, settings: Any) -> None:
        settings.MAIL_IS_ON = False
        _, client = person(email="")

        response = client.post(reverse("report-settings"), CHOICES)

        assert response.status_code == 422
        assert "No mail can be sent from here yet" in response.content.decode()

    def test_a_token_of_another_kind_is_none(self) -> None:
        user, _ = person()
        forged = signing.dumps({"user": user.pk, "address": "ada@example.com"}, salt="something else")

        assert report_settings.asked(forged, user) is None


def test_a_month_of_five_weeks_is_told_as_a_whole() -> None:
    first = datetime(2026, 6, 1, 9, tzinfo=UTC)
    monthly = Subscription(frequency="monthly", weekday=0, hour=9, time_zone="UTC", sent_until=first)
    monthly.plan(now=first)

    assert monthly.next_send_at == datetime(2026, 7, 6, 9, tzinfo=UTC)
    assert monthly.period_start == first
