"""Every list can be walked from its first page to its last, whatever comes and goes in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.models import Acknowledgement
from scanner.models import Cluster, Namespace
from tests import factories
from tests.dashboard.api.conftest import Program

pytestmark = pytest.mark.django_db

#: What names one item of a list.
KEYS: dict[str, tuple[str, ...]] = {
    "clusters": ("name",),
    "namespaces": ("cluster", "name"),
    "cells": ("cluster", "namespace", "credential"),
    "expiry": ("cluster", "namespace", "credential"),
    "findings": ("id",),
    "credentials": ("cluster", "credential"),
    "scans": ("id",),
    "acknowledgements": ("id",),
}


def fill(cluster: Cluster, name: str) -> Namespace:
    """A Namespace that adds to every list."""
    soon = timezone.now() + timedelta(days=len(name))
    ends = {"status": "warning", "reason": "expiring", "expires_at": soon}
    where = factories.namespace(cluster, name, owners=("grace",), cells={"tls": ends, f"registry/{name}.io": ends})
    factories.finding(where)
    factories.scan(cluster, namespace=name, started_at=timezone.now())
    Acknowledgement.objects.create(
        namespace=where, credential="tls", is_snooze=True, status="", reason="", note="x", actor="grace", until=soon
    )
    return where


def walk(client: Client, path: str, *, between: Any = None) -> list[dict[str, Any]]:
    """All items of a list, page by page; `between` is called after each page."""
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following:
        response = client.get(following)
        assert response.status_code == 200, response.content
        page = response.json()
        found += page["items"]
        following = page["next"]
        assert (response.get("Link") == f'<{following}>; rel="next"') is bool(following)
        if between is not None:
            between()
    return found


def keys(items: list[dict[str, Any]], resource: str) -> list[tuple[Any, ...]]:
    return [tuple(item[name] for name in KEYS[resource]) for item in items]


@pytest.fixture(name="ada")
def _ada(program: Program, operator: User) -> Client:
    return program(operator)


@pytest.mark.parametrize("resource", KEYS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_pages_give_each_item_once_while_others_come_and_go(ada: Client, resource: str, data: st.DataObject) -> None:
    Cluster.objects.all().delete()
    clusters = [factories.cluster(name, scanned_at=timezone.now()) for name in ("b-prod", "a-stage")]
    names = data.draw(st.lists(st.sampled_from("abcdefghijklm"), min_size=1, max_size=9, unique=True))
    for number, name in enumerate(names):
        fill(clusters[number % 2], f"team-{name}")
    limit = data.draw(st.integers(1, 4))
    before = set(keys(walk(ada, f"/api/v1/{resource}?limit=500"), resource))
    arrivals = iter(data.draw(st.permutations([f"team-{letter}{letter}" for letter in "aghmz"])))

    def somebody_comes() -> None:
        name = next(arrivals, None)
        if name:
            fill(clusters[len(name) % 2], name)

    seen = keys(walk(ada, f"/api/v1/{resource}?limit={limit}", between=somebody_comes), resource)

    assert len(seen) == len(set(seen)), "an item came twice"
    assert before <= set(seen), "an item was left out"


@pytest.mark.parametrize("resource", KEYS)
def test_pages_go_on_after_a_row_that_is_gone(ada: Client, resource: str) -> None:
    cluster = factories.cluster("prod-eu", scanned_at=timezone.now())
    for name in ("team-a", "team-b", "team-c"):
        fill(cluster, name)
    everything = keys(walk(ada, f"/api/v1/{resource}"), resource)
    first = ada.get(f"/api/v1/{resource}?limit=1").json()
    if first["next"] is None:
        return

    Namespace.objects.get(name="team-a").delete()
    rest = keys(walk(ada, first["next"]), resource)

    assert set(rest) <= set(everything[1:])
    assert len(rest) == len(set(rest))


def test_the_next_page_keeps_the_filters(ada: Client) -> None:
    cluster = factories.cluster("prod-eu", scanned_at=timezone.now())
    for name in ("team-a", "team-b", "other"):
        fill(cluster, name)

    found = walk(ada, "/api/v1/namespaces?q=team&limit=1")

    assert [one["name"] for one in found] == ["team-a", "team-b"]


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("clusters", 2),
        ("namespaces", 4),
        ("namespaces?q=team&status=critical&reason=missing&credential=tls&owner=x&label=a=b", 3),
        ("namespaces/prod-eu/team-0", 8),
        ("cells", 4),
        ("cells?status=unknown&credential=tls", 3),
        ("expiry", 4),
        ("findings", 4),
        ("credentials", 5),
        ("scans", 3),
        ("acknowledgements", 3),
    ],
)
def test_a_page_costs_the_same_few_queries_whatever_its_size(ada: Client, path: str, most: int) -> None:
    cluster = factories.cluster("prod-eu", scanned_at=timezone.now())
    counts = []
    for size in (2, 12):
        for number in range(Namespace.objects.count(), size):
            where = fill(cluster, f"team-{number}")
            factories.finding(where, "PS05", details={"elsewhere": [["team-0", "regcred"]]}, object="Secret/x")
        ada.get(f"/api/v1/{path}")  # the last use of the key is noted now
        with CaptureQueriesContext(
            connection,
        ) as asked:
            response = ada.get(f"/api/v1/{path}")
        assert response.status_code == 200
        counts.append(len(asked))

    assert counts[0] == counts[1]
    assert counts[1] <= most + 1, [query["sql"] for query in asked]  # one for the key


def test_an_unchanged_answer_costs_no_more_queries_than_the_first(ada: Client) -> None:
    fill(factories.cluster("prod-eu", scanned_at=timezone.now()), "team-a")
    tag = ada.get("/api/v1/cells")["ETag"]

    with CaptureQueriesContext(connection) as asked:
        response = ada.get("/api/v1/cells", headers={"if-none-match": tag})

    assert response.status_code == 304
    assert len(asked) <= 5
