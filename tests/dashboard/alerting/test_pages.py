"""The pages about alert routes, for operators. Who else may open them: tests/dashboard/test_access_matrix.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.encryption import decrypt
from dashboard.models import AlertMessage, AlertRoute
from scanner.models import AuditEntry
from tests import factories
from tests.dashboard.alerting.builders import route as make_route
from tests.dashboard.alerting.sink import TOKEN, Sink

pytestmark = pytest.mark.django_db

FIELDS = {"name": "platform", "severities": ["critical"], "on_recovery": "on", "time_zone": "UTC", "is_enabled": "on"}


@pytest.fixture(name="ada")
def _ada(client: Client, broker_up: None) -> Client:
    client.force_login(factories.operator())
    return client


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def post(client: Client, name: str, route: AlertRoute | None = None, /, **more: Any) -> Any:
    return client.post(reverse(name, args=[route.pk] if route else []), more)


def test_without_a_route_the_page_says_what_one_is(ada: Client) -> None:
    assert "Nobody is told of anything yet" in text(ada.get(reverse("alert-routes")))


def test_a_route_is_added_with_its_address_encrypted_and_never_shown(ada: Client, sink: Sink) -> None:
    response = post(ada, "alert-route-add", **FIELDS, address=sink.url())
    route = AlertRoute.objects.get()
    assert response.headers["Location"] == reverse("alert-route", args=[route.pk])
    assert (decrypt(route.url), route.service, route.created_by) == (sink.url(), "json", "ada")
    for page in (reverse("alert-routes"), reverse("alert-route", args=[route.pk]), reverse("audit")):
        content = ada.get(page).content.decode()
        assert "platform" in content
        for secret in (TOKEN, f"{sink.port}", "gAAAA"):
            assert secret not in content
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object) == ("ada", "create-alert-route", "platform")
    assert TOKEN not in str(entry.details)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": ""}, "An address is needed"),
        ({"address": f"syslog://{TOKEN}"}, "syslog:// are not allowed"),
        ({"address": f"https://hooks.example.com/{TOKEN}"}, "write jsons:// in place of https://"),
        ({"address": f"slack://{TOKEN}"}, "This is no"),
        ({"label_selector": "a=b=c"}, "Not a label selector"),
        ({"quiet_from": "22:00"}, "need a beginning and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet all day"),
        ({"severities": []}, "Tick at least one"),
        ({"name": ""}, "This field is required"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_beside_it_and_what_was_typed_stays_but_for_the_address(
    ada: Client, fields: dict[str, Any], said: str
) -> None:
    response = post(
        ada, "alert-route-add", **{**FIELDS, "address": f"jsons://x.example.com/{TOKEN}", "owner": "ada*", **fields}
    )
    assert response.status_code == 422
    assert said in text(response)
    assert 'value="ada*"' in text(response)
    assert TOKEN not in text(response)
    assert AlertRoute.objects.count() == 0


def test_a_name_is_given_once(ada: Client) -> None:
    make_route("platform")
    response = post(ada, "alert-route-add", **FIELDS, address="jsons://x.example.com/")
    assert "already exists" in text(response)


def test_an_empty_address_keeps_the_one_that_is_there(ada: Client) -> None:
    route = make_route("platform", url="json://old.example.com/")
    post(ada, "alert-route", route, **FIELDS, owner="*@example.com")
    route.refresh_from_db()
    assert (decrypt(route.url), route.owner) == ("json://old.example.com/", "*@example.com")


def test_another_address_ends_the_pause_of_a_failing_route(ada: Client) -> None:
    route = make_route("platform")
    route.went_wrong("refused", now=timezone.now())
    post(ada, "alert-route", route, **FIELDS, address="jsons://new.example.com/")
    route.refresh_from_db()
    assert (route.failing_since, route.next_try_at, route.service) == (None, None, "jsons")


def test_a_route_that_is_switched_off_forgets_what_it_was_told(ada: Client) -> None:
    route = make_route("platform", listens_since=timezone.now())
    before = route.listens_since
    post(ada, "alert-route", route, **{**FIELDS, "is_enabled": ""})
    route.refresh_from_db()
    assert not route.is_enabled
    assert route.listens_since > before


def test_a_test_message_is_sent_and_the_result_told_in_place(ada: Client, sink: Sink) -> None:
    route = make_route("platform", url=sink.url())
    url = reverse("alert-route-test", args=[route.pk])
    part = ada.post(url, headers={"HX-Request": "true"})
    assert "The service took the test message" in text(part)
    assert "<html" not in text(part)
    sink.answers = [500]
    whole = ada.post(url)
    assert "The test was not sent" in text(whole)
    assert "500" in text(whole)
    assert "<html" in text(whole)
    assert TOKEN not in text(part) + text(whole)
    assert sink.titles == ["Test of the alert route platform"] * 2
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "outcome")) == [
        ("test-alert-route", "done"),
        ("test-alert-route", "failed"),
    ]


def test_a_route_without_a_key_says_so_and_what_to_do(ada: Client) -> None:
    route = make_route("platform")
    AlertRoute.objects.update(url=b"encrypted with a key that is lost")
    answer = text(post(ada, "alert-route-test", route))
    assert "cannot be read" in answer
    assert "enter the value again" in answer


def test_a_failing_route_says_since_when_why_and_when_it_is_tried_again(ada: Client) -> None:
    route = make_route("platform")
    route.went_wrong("Slack: error=404", now=timezone.now())
    shown = text(ada.get(reverse("alert-routes")))
    assert "failing for" in shown
    assert "Slack: error=404" in shown
    assert "It is tried again" in shown
    response = post(ada, "alert-route-retry", route)
    assert response.headers["Location"] == reverse("alert-routes")
    route.refresh_from_db()
    assert route.next_try_at is None
    assert route.failing_since is not None


def test_what_is_critical_now_can_be_sent_and_is_only_noted_here(ada: Client) -> None:
    route = make_route("platform")
    cluster = factories.cluster("prod-eu", scanned_at=timezone.now())
    for name in ("team-a", "team-b"):
        factories.namespace(cluster, name, cells={"registry/quay.io": "critical rejected"})
    response = ada.post(reverse("alert-route-critical", args=[route.pk]), follow=True)
    assert "is told of 2 critical cells in one message" in text(response)
    assert "registry/quay.io: rejected in 2 Namespaces" in text(response)
    assert AlertMessage.objects.get().state == "pending"


def test_messages_are_listed_with_hostile_names_escaped(ada: Client) -> None:
    route = make_route("<script>alert(1)</script>")
    cluster = factories.cluster()
    AlertMessage.objects.create(
        route=route,
        cluster=cluster,
        credential="x",
        news="trouble",
        state="sent",
        due_at=timezone.now(),
        sealed_at=timezone.now(),
        title="<b>title</b>",
        body="<i>body</i>",
    )
    content = ada.get(reverse("alert-routes")).content.decode()
    for raw in ("<script>alert", "<b>title", "<i>body"):
        assert raw not in content


def test_deleting_asks_first(ada: Client) -> None:
    route = make_route("platform")
    assert "Delete platform?" in text(ada.get(reverse("alert-route-delete", args=[route.pk])))
    assert AlertRoute.objects.count() == 1
    post(ada, "alert-route-delete", route)
    assert AlertRoute.objects.count() == 0
    assert AuditEntry.objects.get().action == "delete-alert-route"


@pytest.mark.parametrize("pk", [404, 10**30])
def test_a_route_that_is_not_there_is_not_found(ada: Client, pk: int) -> None:
    assert ada.get(reverse("alert-route", args=[pk])).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_messages(ada: Client, django_assert_max_num_queries: Any) -> None:
    route, cluster = make_route("platform"), factories.cluster()
    for number in range(40):
        AlertMessage.objects.create(
            route=route,
            cluster=cluster,
            credential=f"c{number}",
            news="trouble",
            state="sent",
            due_at=timezone.now(),
            sealed_at=timezone.now(),
            title=f"t{number}",
        )
    with django_assert_max_num_queries(9):
        assert text(ada.get(reverse("alert-routes"))).count("<details>") == 30
