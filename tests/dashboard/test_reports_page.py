"""The Reports page: who sees which mail, what can be done about it, and that the mail in the frame can do nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from dashboard.mail.server import Sender, SmtpServer
from dashboard.models import Mail, Subscription
from dashboard.models.mail import LEASE
from dashboard.reports.page import MOST_TESTS
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail_is_on(settings: Settings) -> None:
    settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=9, security="none")
    settings.MAIL_IS_ON = True
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")
    settings.PUBLIC_URL = "https://credboard.example.com"


def person(name: str, **fields: Any) -> Client:
    user = User.objects.create_user(username=name, email=f"{name}@example.com", **fields)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(name="ada")
def _ada() -> Client:
    return person("ada", is_staff=True)


@pytest.fixture(name="grace")
def _grace() -> Client:
    return person("grace")


def mail(to: str = "grace@example.com", **fields: Any) -> Mail:
    values = {
        "key": f"report:{Mail.objects.count()}",
        "kind": "report",
        "subject": f"For {to}",
        "html": "<p>All well</p>",
        "text": "All well",
        "next_try_at": timezone.now(),
    } | fields
    return Mail.objects.create(to=to, **values)


def page(client: Client, name: str = "reports", query: dict[str, str] | None = None, **kwargs: Any) -> str:
    response = client.get(reverse(name, kwargs=kwargs), query or {})
    assert response.status_code == 200
    return response.content.decode()


def test_an_operator_sees_every_mail_and_others_their_own(ada: Client, grace: Client) -> None:
    mail("grace@example.com")
    mail("ada@example.com")

    assert {"For grace@example.com", "For ada@example.com"} <= set(re.findall(r">(For [^<]+)<", page(ada)))
    assert "For grace@example.com" in page(grace)
    assert "ada@example.com" not in page(grace)


def test_a_mail_to_another_address_of_ones_own_subscription_is_ones_own(grace: Client) -> None:
    subscription = Subscription.objects.create(address="team@example.com", user=User.objects.get(username="grace"))
    shown = mail("team@example.com", subscription=subscription)

    assert "For team@example.com" in page(grace)
    assert "All well" in page(grace, "report-mail", pk=shown.pk)


def test_someone_without_an_address_sees_no_mail_with_an_empty_one() -> None:
    client = Client()
    client.force_login(User.objects.create_user(username="nobody"))
    mail("")

    assert "Nothing was mailed to you yet" in page(client)


def test_a_mail_of_someone_else_is_as_one_that_is_not_there(grace: Client) -> None:
    shown = mail("ada@example.com")

    for name in ("report-mail", "report-mail-html"):
        hidden = grace.get(reverse(name, kwargs={"pk": shown.pk}))
        missing = grace.get(reverse(name, kwargs={"pk": shown.pk + 1}))
        assert hidden.status_code == missing.status_code == 404
    assert grace.post(reverse("report-send-again", kwargs={"pk": shown.pk})).status_code == 404
    shown.refresh_from_db()
    assert shown.state == "queued"


def test_the_html_in_the_frame_can_do_nothing(grace: Client) -> None:
    shown = mail(html="<script>alert(1)</script><p style='color:red'>All well</p>")

    response = grace.get(reverse("report-mail-html", kwargs={"pk": shown.pk}))

    assert response.content.decode() == shown.html
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script" not in policy
    assert "allow-" not in policy
    assert response["X-Frame-Options"] == "SAMEORIGIN"


def test_the_page_around_it_keeps_its_policy_and_may_show_one_frame_of_ours(grace: Client) -> None:
    shown = mail()

    response = grace.get(reverse("report-mail", kwargs={"pk": shown.pk}))

    policy = response["Content-Security-Policy"]
    assert "frame-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert re.search(r"<iframe [^>]*\bsandbox\b(?!=)", response.content.decode())
    assert "frame-src" not in grace.get(reverse("reports"))["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "sent", "sent_at": timezone.now()}, "sent"),
        ({"state": "queued"}, "waiting"),
        ({"state": "queued", "error": "450 Greylisted", "attempts": 1}, "to be tried again"),
        ({"state": "sending"}, "being sent"),
        ({"state": "in-doubt", "handed_over_at": timezone.now() - LEASE}, "perhaps sent"),
        ({"state": "failed", "error": "550 No such user"}, "not sent"),
    ],
)
def test_each_state_is_told_in_words_with_its_error(fields: dict[str, Any], words: str, grace: Client) -> None:
    shown = mail(**fields)

    for html in (page(grace), page(grace, "report-mail", pk=shown.pk)):
        assert re.search(rf"</svg>\s*{words}</span>", html)
        assert fields.get("error", "") in html


def test_a_mail_that_is_just_handed_over_is_being_sent(grace: Client) -> None:
    mail(state="in-doubt", handed_over_at=timezone.now())

    assert "being sent" in page(grace)


@pytest.mark.parametrize(
    "fields", [{"state": "failed"}, {"state": "in-doubt", "handed_over_at": timezone.now() - LEASE}]
)
def test_what_failed_or_is_in_doubt_can_be_sent_again(fields: dict[str, Any], grace: Client) -> None:
    shown = mail(**fields, settled_at=timezone.now(), attempts=5)
    assert "Send again" in page(grace, "report-mail", pk=shown.pk)

    response = grace.post(reverse("report-send-again", kwargs={"pk": shown.pk}), follow=True)

    shown.refresh_from_db()
    assert (shown.state, shown.attempts, shown.settled_at) == ("queued", 0, None)
    assert Mail.objects.due(timezone.now()).get() == shown
    assert "It is sent again" in response.content.decode()


@pytest.mark.parametrize("state", ["sent", "queued", "sending"])
def test_what_was_sent_or_is_under_way_cannot(state: str, grace: Client) -> None:
    shown = mail(state=state)
    assert "Send again" not in page(grace, "report-mail", pk=shown.pk)

    response = grace.post(reverse("report-send-again", kwargs={"pk": shown.pk}), follow=True)

    shown.refresh_from_db()
    assert shown.state == state
    assert "not one to send again" in response.content.decode()


def test_the_preview_is_the_report_of_who_asks_and_records_nothing(grace: Client) -> None:
    cluster = factories.cluster(scanned_at=timezone.now())
    factories.namespace(cluster, "team-vision", owners=("grace",), cells={"registry/quay.io": "critical missing"})
    factories.namespace(cluster, "team-secret", cells={"registry/quay.io": "critical missing"})

    outside, inside = page(grace, "report-preview"), page(grace, "report-preview-html")

    assert "Your Namespaces: 1 critical" in outside
    assert "team-vision" in inside
    assert "team-secret" not in outside + inside
    assert not Mail.objects.exists()
    assert not Subscription.objects.exists()


def test_a_test_goes_to_ones_own_address_only(grace: Client) -> None:
    user = User.objects.get(username="grace")
    subscription = Subscription.objects.create(address="grace@example.com", user=user)

    response = grace.post(reverse("report-send-test"), {"to": "ada@example.com"}, follow=True)

    sent = Mail.objects.get()
    assert (sent.to, sent.kind, sent.subscription) == ("grace@example.com", "test", subscription)
    assert sent.subject.startswith("Test: ")
    assert sent.headers["List-Unsubscribe"].startswith("<https://credboard.example.com/unsubscribe/")
    assert "A test is on its way to grace@example.com." in response.content.decode()


def test_so_many_tests_an_hour_and_no_more(grace: Client) -> None:
    Subscription.objects.create(address="grace@example.com", user=User.objects.get(username="grace"))

    for _ in range(MOST_TESTS):
        grace.post(reverse("report-send-test"))
    refused = grace.post(reverse("report-send-test"), follow=True)

    assert Mail.objects.count() in (MOST_TESTS, MOST_TESTS + 1)  # at the turn of an hour
    assert f"You had {MOST_TESTS} tests sent" in refused.content.decode() or Mail.objects.count() > MOST_TESTS


def test_without_an_address_no_test_is_sent_and_the_page_says_what_to_do(grace: Client) -> None:
    assert "there is no address for a test" in page(grace, "report-preview")

    grace.post(reverse("report-send-test"))

    assert not Mail.objects.exists()


def test_with_mail_off_the_pages_say_so_and_send_nothing(ada: Client, grace: Client, settings: Settings) -> None:
    settings.MAIL_IS_ON, settings.SMTP_SERVER = False, None
    Subscription.objects.create(address="grace@example.com", user=User.objects.get(username="grace"))
    shown = mail(state="failed")

    assert "CREDBOARD_SMTP_HOST" in page(ada)
    assert "No mail server is set" in page(grace)
    assert "CREDBOARD_SMTP_HOST" not in page(grace)
    grace.post(reverse("report-send-test"))
    grace.post(reverse("report-send-again", kwargs={"pk": shown.pk}))
    shown.refresh_from_db()
    assert (Mail.objects.count(), shown.state) == (1, "failed")


def test_trouble_with_the_server_is_told_to_operators(ada: Client, grace: Client) -> None:
    for _ in range(3):
        mail(
            "ada@example.com",
            error="The mail server refused CREDBOARD_SMTP_USER or its password (535)",
            next_try_at=timezone.now() + timedelta(minutes=15),
        )

    assert "3 mails wait because of trouble" in page(ada)
    assert "trouble" not in page(grace)


def test_mails_can_be_found_by_address_and_by_how_they_went(ada: Client) -> None:
    mail("grace@example.com", state="failed")
    mail("ada@example.com", state="sent")

    assert "For ada@" not in page(ada, query={"to": "GRACE"})
    assert "For grace@" not in page(ada, query={"state": "sent"})
    assert "No mail matches" in page(ada, query={"state": "in-doubt"})
    assert "For grace@" in page(ada, query={"state": "<script>", "to": "\x00", "page": "x"})


def test_the_page_asks_the_same_few_questions_for_any_number_of_mails(
    ada: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(120):
        mail()

    with django_assert_max_num_queries(9):
        html = page(ada)

    assert "1–50 of 120" in html
    assert "Older" in html


def test_what_a_mail_says_is_escaped_on_the_page(ada: Client) -> None:
    shown = mail(subject="<b>x</b>", text="<i>y</i>", error="<u>z</u>")

    for html in (page(ada), page(ada, "report-mail", pk=shown.pk)):
        assert "<b>x</b>" not in html
        assert "<i>y</i>" not in html
        assert "<u>z</u>" not in html
