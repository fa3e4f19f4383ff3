"""The calendar of ends, read back by another program's eyes, and the pages of its addresses and of keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard import expiry_calendar
from dashboard.models import ApiKey, CalendarFeed
from scanner.models import Cluster, Namespace
from tests import factories

pytestmark = pytest.mark.django_db

ENDS = timezone.now().replace(microsecond=0) + timedelta(days=30)


def ending(at: datetime = ENDS) -> dict[str, Any]:
    return {"status": "warning", "reason": "expiring", "expires_at": at}


@pytest.fixture(name="cluster", autouse=True)
def _cluster() -> Cluster:
    made = factories.cluster("prod-eu", scanned_at=timezone.now())
    factories.namespace(
        made, "team-vision", owners=("grace",), cells={"tls": ending(), "registry/quay.io": "ok covered"}
    )
    factories.namespace(made, "team-nlp", cells={"tls": ending()})
    return made


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def events(user: User) -> list[Any]:
    _, token = CalendarFeed.objects.issue(user, now=timezone.now())
    response = Client().get(f"/calendar/{token}.ics")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    found: list[Any] = icalendar.Calendar.from_ical(response.content).walk("VEVENT")
    return found


def test_one_credential_that_ends_in_many_namespaces_is_one_event() -> None:
    found = events(factories.operator())

    assert len(found) == 1
    assert (
        found[0]["SUMMARY"] == "Certificate Certificates ends in 2 Namespaces" or "2 Namespaces" in found[0]["SUMMARY"]
    )
    assert "team-nlp, team-vision" in found[0]["DESCRIPTION"]
    assert found[0]["DTSTART"].dt == ENDS.astimezone(UTC)
    assert found[0]["URL"] == "http://testserver/?cluster=prod-eu&credential=tls"


def test_an_owner_reads_of_their_own_namespaces_only() -> None:
    found = events(factories.owner())

    assert len(found) == 1
    assert "team-nlp" not in str(found[0]["DESCRIPTION"])
    assert str(found[0]["SUMMARY"]).endswith("in team-vision")


def test_an_event_keeps_its_name_until_the_credential_ends_at_another_time(cluster: Cluster) -> None:
    ada = factories.operator()
    before = events(ada)[0]["UID"]
    Namespace.objects.update(scanned_at=timezone.now())
    assert events(ada)[0]["UID"] == before

    cluster.namespaces.get(name="team-nlp").cells.update(expires_at=ENDS + timedelta(days=365))

    assert [before == event["UID"] for event in events(ada)] == [True, False]


def test_what_was_not_seen_lately_says_so() -> None:
    Namespace.objects.filter(name="team-nlp").update(scanned_at=timezone.now() - timedelta(days=1))

    assert "1 of them not seen lately" in events(factories.operator())[0]["DESCRIPTION"]


def test_what_ended_long_ago_is_left_out(cluster: Cluster) -> None:
    past = timezone.now() - expiry_calendar.PAST
    cells = {"registry/a.io": ending(past - timedelta(hours=1)), "registry/b.io": ending(past + timedelta(hours=1))}
    factories.namespace(cluster, "old", cells=cells)

    assert len(events(factories.operator())) == 2


def test_a_calendar_of_very_many_has_the_soonest_and_says_so(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_calendar, "MOST_EVENTS", 2)
    factories.namespace(cluster, "more", cells={f"registry/{n}.io": ending(ENDS + timedelta(days=n)) for n in range(5)})
    _, token = CalendarFeed.objects.issue(factories.operator(), now=timezone.now())

    text = Client().get(f"/calendar/{token}.ics").content.decode().replace("\r\n ", "")  # unfolded

    assert text.count("BEGIN:VEVENT") == 2
    assert "The soonest 2 are here" in text


def test_names_from_a_cluster_cannot_write_lines_of_their_own(cluster: Cluster) -> None:
    factories.namespace(cluster, "odd", cells={"registry/x\r\nBEGIN:VEVENT;,\\": ending(ENDS + timedelta(days=1))})

    found = events(factories.operator())

    assert len(found) == 2
    assert "BEGIN:VEVENT;,\\" in found[1]["DESCRIPTION"]


def test_an_address_that_is_unknown_revoked_or_of_somebody_gone_is_not_there() -> None:
    now = timezone.now()
    feed, revoked = CalendarFeed.objects.issue(factories.owner(), now=now)
    CalendarFeed.objects.revoke(feed, now=now)
    _, gone = CalendarFeed.objects.issue(factories.owner("gone"), now=now)
    User.objects.filter(username="gone").update(is_active=False)

    for token in ("forged", revoked, gone):
        assert Client().get(f"/calendar/{token}.ics").status_code == 404


def test_a_calendar_costs_the_same_queries_whatever_its_size(cluster: Cluster) -> None:
    _, token = CalendarFeed.objects.issue(factories.operator(), now=timezone.now())
    counts = []
    for size in (3, 20):
        for number in range(Namespace.objects.count(), size):
            factories.namespace(cluster, f"team-{number}", cells={"tls": ending()})
        Client().get(f"/calendar/{token}.ics")
        with CaptureQueriesContext(connection) as asked:
            Client().get(f"/calendar/{token}.ics")
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 4


def test_an_unchanged_calendar_is_answered_alike() -> None:
    _, token = CalendarFeed.objects.issue(factories.operator(), now=timezone.now())

    first, second = (Client().get(f"/calendar/{token}.ics") for _ in range(2))

    assert first["ETag"] == second["ETag"]
    assert first["Cache-Control"] == "private, max-age=900"
    again = Client().get(f"/calendar/{token}.ics", headers={"if-none-match": first["ETag"]})
    assert again.status_code == 304


# Their pages


def test_an_address_is_shown_once_and_then_only_its_use() -> None:
    client = client_of(factories.owner())

    made = client.post("/settings/calendar/").content.decode()
    address = re.search(r"http://testserver(/calendar/[\w-]{43}\.ics)", made)

    assert address
    assert Client().get(address[1]).status_code == 200
    later = client.get("/settings/calendar/").content.decode()
    assert address[1] not in later
    assert "Revoke" in later
    token = address[1].removeprefix("/calendar/").removesuffix(".ics")
    assert token not in str(CalendarFeed.objects.values().get())


def test_an_address_is_revoked_by_its_person_or_an_operator_and_by_nobody_else() -> None:
    feed, token = CalendarFeed.objects.issue(factories.owner(), now=timezone.now())
    path = f"/settings/calendar/{feed.pk}/revoke/"

    assert client_of(factories.owner("stranger")).post(path).status_code == 404
    assert Client().get(f"/calendar/{token}.ics").status_code == 200
    assert client_of(factories.operator()).post(path, follow=True).status_code == 200
    assert Client().get(f"/calendar/{token}.ics").status_code == 404


def key_form(**changes: str) -> dict[str, str]:
    return {"name": "nightly job", "scope": "read", "days": "90", "cluster": "", "namespace": ""} | changes


def test_a_key_is_shown_once_and_works() -> None:
    client = client_of(factories.owner())

    made = client.post("/settings/api-keys/", key_form())
    token = re.search(r"cbk_[0-9a-f]{8}_[\w-]{43}", made.content.decode())

    assert token
    assert "no-store" in made["Cache-Control"]
    assert Client(headers={"authorization": f"Bearer {token[0]}"}).get("/api/v1/clusters").status_code == 200
    later = client.get("/settings/api-keys/").content.decode()
    assert token[0] not in later
    assert token[0][:12] in later
    assert "nightly job" in later


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "a\x07b"}, "signs that can be seen"),
        ({"days": "9999"}, "Select a valid choice"),
        ({"scope": "admin"}, "Select a valid choice"),
        ({"namespace": "team-vision"}, "Choose the cluster"),
        ({"cluster": "?", "namespace": "team-nlp"}, "You can see no Namespace"),
    ],
)
def test_a_key_that_cannot_be_is_refused_beside_its_input(
    cluster: Cluster, changes: dict[str, str], words: str
) -> None:
    changes = {name: str(cluster.pk) if value == "?" else value for name, value in changes.items()}

    response = client_of(factories.owner()).post("/settings/api-keys/", key_form(**changes))

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_for_one_namespace_is_made(cluster: Cluster) -> None:
    client_of(factories.owner()).post(
        "/settings/api-keys/", key_form(cluster=str(cluster.pk), namespace="team-vision", scope="write", days="30")
    )

    key = ApiKey.objects.get()
    assert (key.cluster, key.namespace, key.may_write) == (cluster, "team-vision", True)
    assert key.expires_at - key.created_at == timedelta(days=30)


def test_a_cluster_that_one_cannot_see_cannot_be_chosen() -> None:
    other = factories.cluster("prod-us")
    client = client_of(factories.owner())

    assert "prod-us" not in client.get("/settings/api-keys/").content.decode()
    assert client.post("/settings/api-keys/", key_form(cluster=str(other.pk))).status_code == 422


def test_a_key_is_revoked_by_its_person_or_an_operator_and_by_nobody_else() -> None:
    now = timezone.now()
    key, token = ApiKey.objects.issue(
        factories.owner(), name="x", scope="read", expires_at=now + timedelta(days=1), now=now
    )
    program = Client(headers={"authorization": f"Bearer {token}"})
    path = f"/settings/api-keys/{key.pk}/revoke/"

    assert client_of(factories.owner("stranger")).post(path).status_code == 404
    assert program.get("/api/v1/clusters").status_code == 200
    page = client_of(factories.operator()).post(path, follow=True).content.decode()
    assert "Revoked the key x" in page
    assert program.get("/api/v1/clusters").status_code == 401


def test_people_see_their_own_keys_and_operators_all() -> None:
    now = timezone.now()
    ApiKey.objects.issue(factories.owner(), name="of grace", scope="read", expires_at=now + timedelta(days=1), now=now)

    assert "of grace" not in client_of(factories.owner("other")).get("/settings/api-keys/").content.decode()
    assert "of grace" in client_of(factories.operator()).get("/settings/api-keys/").content.decode()


def test_somebody_from_a_header_reads_of_all_namespaces_only_while_the_settings_say_so(settings: Any) -> None:
    boss = User.objects.create_user(username="boss@example.com", is_staff=True)
    settings.OPERATORS = frozenset()
    assert events(boss) == []

    settings.OPERATORS = frozenset({"boss@example.com"})
    assert len(events(boss)) == 1
