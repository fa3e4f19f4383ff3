"""The page of expiry: one clock, each credential that ends once, and no promise where nothing is known."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.endings import ExpiryFilters
from dashboard.expiry_page import ExpiryPage
from dashboard.month import Month
from scanner.models import Cluster, Namespace
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]

QUAY, HUB = "registry/quay.io", "registry/docker.io"
DAY = timedelta(days=1)


def body(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    page: str = response.content.decode()
    return page


def text(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", body(response).partition('id="list"')[2]).split())


def ending(
    cluster: Cluster, name: str, at: datetime | None, *, credential: str = QUAY, source: str = "x509", **fields: Any
) -> Namespace:
    told = {"status": "ok", "reason": "covered", "expires_at": at, "expiry_source": source, **fields.pop("cell", {})}
    return factories.namespace(cluster, name, cells={credential: told}, **fields)


def labels(response: Any) -> list[str]:
    return re.findall(r'<span class="what"><b>([^<]+)</b>', body(response))


def test_what_ends_first_comes_first_and_what_has_ended_before_it(ada: Client, cluster: Cluster) -> None:
    now = timezone.now()
    ending(cluster, "a", now + 40 * DAY, credential="tls")
    ending(cluster, "b", now + 3.5 * DAY)
    ending(cluster, "c", now - 4.5 * DAY, credential=HUB)

    response = ada.get("/expiry/")

    assert labels(response) == ["docker.io", "quay.io", "TLS"]
    assert "ended 4 d ago" in text(response)
    assert "in 3 d" in text(response)
    assert "<h1>3 endings within 90 days</h1>" in body(response)


def test_the_sign_is_about_the_end_and_not_about_what_else_is_wrong(ada: Client, cluster: Cluster) -> None:
    now = timezone.now()
    ending(cluster, "a", now + 60 * DAY, cell={"status": "critical", "reason": "denied"})
    ending(cluster, "b", now + 5 * DAY, credential=HUB, cell={"status": "warning", "reason": "shadowed"})
    ending(cluster, "c", now + 5.5 * DAY, credential="tls", cell={"status": "warning", "reason": "expiring"})

    page = ExpiryPage(cluster, User.objects.get(), ExpiryFilters(), cluster_in_url="", now=now)

    told = {one.credential: one.status for one in page.endings}
    assert told == {QUAY: "ok", HUB: "critical", "tls": "warning"}


def test_one_robot_account_in_fourteen_namespaces_is_told_once(ada: Client, cluster: Cluster) -> None:
    at = timezone.now() + 20 * DAY
    for number in range(14):
        ending(cluster, f"team-{number:02}", at, source="registry")
    ending(cluster, "other", at + timedelta(seconds=1))

    response = ada.get("/expiry/")

    assert labels(response) == ["quay.io", "quay.io"]
    assert "14 Namespaces team-00 and 13 more" in text(response)
    (url,) = re.findall(r'id="rows-1" hx-get="([^"]+)"', body(response))
    part = ada.get(url.replace("&amp;", "&"), headers={"HX-Request": "true", "HX-Target": "rows-1"})
    assert len(re.findall(r'class="link name"', body(part))) == 14
    assert "team-13" in text(ada.get(url.replace("&amp;", "&")))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x509", "says the certificate itself"),
        ("jwt", "says the token itself"),
        ("declared", "declared: an annotation of the Secret"),
        ("derived", "probably: how long such a one lasts"),
        ("", "source not known"),
    ],
)
def test_each_date_says_how_far_to_believe_it(ada: Client, cluster: Cluster, source: str, words: str) -> None:
    ending(cluster, "a", timezone.now() + DAY, source=source)

    assert words in text(ada.get("/expiry/"))


def test_no_expiry_known_is_counted_apart_from_never(ada: Client, cluster: Cluster) -> None:
    ending(cluster, "a", None)
    ending(cluster, "b", None)
    ending(cluster, "c", None, cell={"details": {"never_expires": True}})

    line = ada.get("/expiry/?view=none", headers={"HX-Request": "true", "HX-Target": "endless"})

    assert "2 cells with no expiry known</a>, which is not never; 1 never ends" in body(line)
    assert "quay.io Registry 2 Namespaces with no expiry known 1 Namespace where it never ends" in text(
        ada.get("/expiry/?view=none")
    )
    assert "Nothing ends within 90 days" in text(ada.get("/expiry/"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["docker.io", "TLS"]),
        ("within=7", ["docker.io"]),
        ("within=all", ["docker.io", "TLS", "quay.io"]),
        ("within=evil", ["docker.io", "TLS"]),
        ("kind=registry&within=365", ["docker.io", "quay.io"]),
        ("kind=tls", ["TLS"]),
        (f"credential={HUB}", ["docker.io"]),
        ("credential=%00&page=x", ["docker.io", "TLS"]),
        ("at=yesterday&day=9999-99-99&month=x", ["docker.io", "TLS"]),
    ],
)
def test_filters_find_what_they_name(ada: Client, cluster: Cluster, query: str, found: list[str]) -> None:
    now = timezone.now()
    ending(cluster, "a", now + 2 * DAY, credential=HUB)
    ending(cluster, "b", now + 60 * DAY, credential="tls")
    ending(cluster, "c", now + 300 * DAY)

    assert labels(ada.get(f"/expiry/?{query}")) == found


def test_an_owner_sees_the_own_namespaces_only(client: Client, cluster: Cluster) -> None:
    at = timezone.now() + DAY
    ending(cluster, "mine", at, owners=("grace",))
    ending(cluster, "theirs", at)
    ending(cluster, "hidden", at, credential="registry/hidden.example.com")
    client.force_login(factories.owner("grace"))

    for query in ("", "?view=calendar", "?view=none", f"?at={at:%Y-%m-%dT%H:%M:%S.%fZ}&credential={QUAY}"):
        page = body(client.get(f"/expiry/{query}"))
        assert "theirs" not in page
        assert "hidden.example.com" not in page
    assert "mine" in text(client.get("/expiry/"))


def test_a_namespace_seen_too_long_ago_is_unknown(ada: Client, cluster: Cluster) -> None:
    ending(cluster, "old", timezone.now() + DAY, scanned_at=timezone.now() - DAY)

    response = ada.get("/expiry/")

    assert "(1 seen too long ago)" in text(response)
    assert 'class="is-unknown" title="unknown"' in body(response)


def test_the_calendar_shows_each_day_with_what_ends_on_it(ada: Client, cluster: Cluster) -> None:
    at = datetime(2026, 12, 24, 23, 30, tzinfo=UTC)
    for number in range(3):
        ending(cluster, f"team-{number}", at)
    for number in range(4):
        ending(cluster, f"more-{number}", at, credential=f"registry/r{number}.example.com")

    page = ada.get("/expiry/?view=calendar&month=2026-12")

    square = body(page).partition('data-day="2026-12-24">')[2].partition("</td>")[0]
    assert "quay.io" in square
    assert "× 3" in square
    assert "2 more" in square
    assert 'href="/expiry/?day=2026-12-24"' in square
    assert labels(ada.get("/expiry/?day=2026-12-24"))[0] == "quay.io"
    assert "5 endings on 24 December 2026" in body(ada.get("/expiry/?day=2026-12-24"))
    assert 'href="/expiry/?view=calendar&amp;month=2027-01"' in body(page)


@pytest.mark.parametrize("query", ["", "view=calendar", "view=none", "kind=registry&within=7"])
def test_the_price_does_not_grow_with_the_cluster(
    ada: Client, cluster: Cluster, django_assert_max_num_queries: Any, query: str
) -> None:
    for number in range(120):
        ending(cluster, f"team-{number}", timezone.now() + timedelta(hours=number))

    # Session and person; clusters; options; count; endings; scans.
    with django_assert_max_num_queries(7):
        ada.get(f"/expiry/?{query}")


def test_pages_hold_fifty(ada: Client, cluster: Cluster) -> None:
    for number in range(60):
        ending(cluster, f"team-{number}", timezone.now() + timedelta(hours=number))

    assert "1–50 of 60" in text(ada.get("/expiry/"))
    assert len(labels(ada.get("/expiry/?page=9"))) == 10


def test_an_unchanged_list_is_not_sent_again(ada: Client, cluster: Cluster) -> None:
    ending(cluster, "a", timezone.now() + DAY)
    headers = {"HX-Request": "true", "HX-Target": "list"}
    (seen,) = re.findall(r'data-seen="(\w+)"', body(ada.get("/expiry/", headers=headers)))

    assert ada.get("/expiry/", headers={**headers, "HX-PTag": seen}).status_code == 304


def test_months_have_neighbours_over_the_turn_of_the_year() -> None:
    december = Month.read("2026-12", today=date(2026, 1, 1))

    assert (str(december.before), str(december.after), december.title) == ("2026-11", "2027-01", "December 2026")
    assert december.weeks[0][0] == date(2026, 11, 30)
    assert all(len(week) == 7 for week in december.weeks)


@pytest.mark.parametrize("text_", ["", "2026-13", "0000-01", "9999-12", "26-1", "2026-1", "²026-01"])
def test_what_is_no_month_is_the_present_one(text_: str) -> None:
    assert Month.read(text_, today=date(2026, 11, 21)) == Month(2026, 11)
