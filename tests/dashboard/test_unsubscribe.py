"""Leaving reports: one click in the mail program (RFC 8058), or a page; nothing on a mere look."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.conf import settings as django_settings
from django.core.signing import Signer
from django.test import Client
from django.urls import get_script_prefix, set_script_prefix

from dashboard.models import Subscription
from dashboard.reports.sending import public, subscription_of, unsubscribe_url

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(name="subscription")
def _subscription() -> Subscription:
    made = Subscription.by_default("grace@example.com", source="profile")
    made.frequency = "daily"
    made.plan(now=NOW)
    made.save()
    return made


def path(subscription: Subscription) -> str:
    return unsubscribe_url(subscription).removeprefix("http://127.0.0.1:8000")


def test_the_post_of_a_mail_program_works_without_session_and_form_token(subscription: Subscription) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post(path(subscription), ONE_CLICK)

    assert response.status_code == 200  # RFC 8058: no redirect
    left = Subscription.objects.get()
    assert (left.frequency, left.next_send_at) == ("off", None)
    assert django_settings.SESSION_COOKIE_NAME not in response.cookies


def test_a_look_at_the_page_changes_nothing(subscription: Subscription) -> None:
    for method in (Client().get, Client().head):
        assert method(path(subscription)).status_code == 200

    assert Subscription.objects.get().frequency == "daily"


def test_the_page_asks_first_and_offers_to_undo(subscription: Subscription) -> None:
    client = Client()
    assert "Send me no more reports" in client.get(path(subscription)).content.decode()

    gone = client.post(path(subscription)).content.decode()
    assert "gets no reports" in gone
    assert 'value="daily"' in gone

    back = client.post(path(subscription), {"frequency": "daily"}).content.decode()
    assert "as before, daily" in back
    assert Subscription.objects.get().next_send_at is not None


def test_twice_is_once(subscription: Subscription) -> None:
    client = Client()
    for _ in range(2):
        assert client.post(path(subscription), ONE_CLICK).status_code == 200

    assert Subscription.objects.get().frequency == "off"


@pytest.mark.parametrize("wanted", ["off", "hourly", "", "weekly; drop"])
def test_only_a_frequency_switches_it_on_again(subscription: Subscription, wanted: str) -> None:
    Client().post(path(subscription), {"frequency": wanted})

    assert Subscription.objects.get().frequency == "off"


def test_a_link_that_is_not_ours_opens_nothing(subscription: Subscription) -> None:
    for token in (f"{subscription.pk}:forged", Signer(salt="else").sign(str(subscription.pk)), "x", "9" * 400):
        for method in (Client().get, Client().post):
            assert method(f"/unsubscribe/{token}/").status_code == 404
    assert Subscription.objects.get().frequency == "daily"


def test_the_link_of_a_subscription_that_is_gone_opens_nothing(subscription: Subscription) -> None:
    link = path(subscription)
    subscription.delete()

    response = Client().get(link)
    assert response.status_code == 404
    assert "Link not valid" in response.content.decode()
    assert "Nothing was changed." in response.content.decode()


def test_the_link_goes_on_working_when_the_key_is_changed_with_the_old_one_kept(
    subscription: Subscription, settings: object
) -> None:
    token = path(subscription).split("/")[2]
    old = settings.SECRET_KEY  # type: ignore[attr-defined]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [old]  # type: ignore[attr-defined]

    assert subscription_of(token) == subscription


@pytest.mark.parametrize("url", ["https://example.com/credboard", "https://example.com"])
def test_the_path_prefix_is_in_a_link_once(settings: object, url: str) -> None:
    settings.PUBLIC_URL = url  # type: ignore[attr-defined]

    before = get_script_prefix()
    set_script_prefix("/credboard/")
    try:
        assert public("report-settings") == "https://example.com/credboard/settings/report/"
    finally:
        set_script_prefix(before)


def test_links_in_mails_begin_with_the_public_address(settings: object) -> None:
    settings.PUBLIC_URL = "https://example.com/credboard"  # type: ignore[attr-defined]

    assert public("cell", "prod-eu", "team-vision", "registry/quay.io") == (
        "https://example.com/credboard/n/prod-eu/team-vision/cells/registry/quay.io/"
    )
