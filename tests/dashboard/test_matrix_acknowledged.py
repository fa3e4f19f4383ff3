"""What is acknowledged, in the matrix: marked, counted, hidden, and never what was not seen."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import Acknowledgement
from scanner.models import Cluster, Namespace
from tests import factories
from tests.dashboard.matrix_html import HUB, QUAY, names, tallies

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]


def acknowledge_all_of(namespace: Namespace, credential: str = QUAY, **fields: Any) -> None:
    now = timezone.now()
    cell = namespace.cells.get(credential__slug=credential)
    values = {"status": cell.status, "reason": cell.reason, "until": now + timedelta(days=1), "actor": "ada"} | fields
    Acknowledgement.objects.create(namespace=namespace, credential=credential, note="Known.", **values)


def settled_tallies(response: Any) -> dict[str, int]:
    found = re.findall(r'id="tally-(\w+)"(?:(?!</a>).)*\((\d+) acknowledged\)', response.content.decode())
    return {status: int(count) for status, count in found}


def test_an_acknowledged_cell_is_marked_and_keeps_its_status(ada: Client, cluster: Cluster) -> None:
    acknowledge_all_of(factories.namespace(cluster, cells={QUAY: "critical missing", HUB: "critical missing"}))

    page = ada.get("/").content.decode()

    assert page.count('aria-label="critical: missing, acknowledged"') == 1
    assert page.count('aria-label="critical: missing"') == 1


def test_the_counts_tell_what_is_acknowledged_in_full(ada: Client, cluster: Cluster) -> None:
    for name, cells in (("a", {QUAY: "critical missing"}), ("b", {QUAY: "critical missing", HUB: "warning expiring"})):
        acknowledge_all_of(factories.namespace(cluster, name, cells=cells))
    factories.namespace(cluster, "c", cells={QUAY: "critical missing"})

    response = ada.get("/")

    assert tallies(response)["critical"] == 3
    assert settled_tallies(response) == {"critical": 1}
    assert settled_tallies(ada.get("/", {"credential": QUAY})) == {"critical": 2}


def test_what_is_acknowledged_can_be_hidden_and_what_is_well_stays(ada: Client, cluster: Cluster) -> None:
    acknowledge_all_of(factories.namespace(cluster, "known", cells={QUAY: "critical missing"}))
    factories.namespace(cluster, "news", cells={QUAY: "critical missing"})
    snoozed = factories.namespace(cluster, "well", cells={QUAY: "ok covered"})
    acknowledge_all_of(snoozed, is_snooze=True)

    response = ada.get("/?ack=hide")

    assert names(response) == ["news", "well"]
    assert "1–2 of 2" in response.content.decode()
    assert names(ada.get(f"/?ack=hide&credential={QUAY}")) == ["news", "well"]
    assert names(ada.get("/?ack=hide&status=critical")) == ["news"]
    assert names(ada.get("/?ack=show")) == ["known", "news", "well"]


def test_nothing_that_was_not_seen_is_hidden_as_acknowledged(ada: Client, cluster: Cluster) -> None:
    blind = factories.namespace(cluster, "blind", cells={QUAY: "critical missing"}, unreadable={"pods": "forbidden"})
    long_ago = timezone.now() - cluster.stale_after - timedelta(seconds=5)
    old = factories.namespace(cluster, "old", cells={QUAY: "critical missing"}, scanned_at=long_ago)
    for one in (blind, old):
        acknowledge_all_of(one)

    response = ada.get("/?ack=hide")

    assert names(response) == ["blind", "old"]
    assert 'aria-label="unknown: stale was missing, acknowledged"' in response.content.decode()


@pytest.mark.parametrize("query", ["", "ack=hide", f"ack=hide&credential={QUAY}"])
def test_acknowledgements_cost_no_query(
    ada: Client, cluster: Cluster, django_assert_max_num_queries: Any, query: str
) -> None:
    for number in range(60):
        made = factories.namespace(cluster, f"team-{number:02}", cells={QUAY: "critical missing"})
        if number % 2:
            acknowledge_all_of(made)

    with django_assert_max_num_queries(8):
        assert names(ada.get(f"/?{query}"))
