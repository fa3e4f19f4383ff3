"""What pages say of Namespaces that could not be scanned, and to whom."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import Cluster, Namespace, Scan
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]

PAGE = "/n/prod-eu/team-vision/"
WORDS = "https://10.0.0.1:6443 answered 500 (list secrets in the Namespace 'team-vision'): dial tcp 10.0.0.7:2379."
REMEDY = "See whether the API server is healthy: kubectl get --raw '/readyz?verbose'"


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    return factories.cluster(scanned_at=timezone.now() - timedelta(seconds=30))


@pytest.fixture(name="namespace")
def _namespace(cluster: Cluster) -> Namespace:
    return factories.namespace(cluster, owners=("grace",), scanned_at=timezone.now() - timedelta(seconds=20))


def failed(of: Cluster, *, seconds_ago: int = 5, **fields: Any) -> Scan:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    told = {"error_kind": "Unavailable", "error": WORDS, "remedy": REMEDY, "state": "failed"} | fields
    return factories.scan(of, namespace="team-vision", started_at=at, finished_at=at, **told)


def text(client: Client, who: Any, url: str = PAGE) -> str:
    client.force_login(who)
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split()).replace("&#x27;", "'")


def test_a_namespace_says_why_its_own_scan_failed(client: Client, cluster: Cluster, namespace: Namespace) -> None:
    failed(cluster)
    page = text(client, factories.operator())
    assert "The last scan of this Namespace failed" in page
    assert WORDS in page
    assert REMEDY in page


def test_an_owner_is_told_no_address(client: Client, cluster: Cluster, namespace: Namespace) -> None:
    failed(cluster)
    page = text(client, factories.owner("grace"))
    assert "The API server answered 500 (list secrets in the Namespace 'team-vision'): dial tcp an address." in page
    assert "10.0.0" not in page
    assert "kubectl get --raw" not in page


def test_an_owner_is_told_nothing_of_the_configuration(client: Client, cluster: Cluster, namespace: Namespace) -> None:
    words = "There is no kubeconfig at /etc/credboard/prod."
    failed(cluster, error_kind="BadConfiguration", error=words)
    assert words in text(client, factories.operator())
    page = text(client, factories.owner("grace"))
    assert "/etc/credboard" not in page
    assert "An operator of Credboard can see why" in page


def test_what_failed_before_the_last_good_scan_is_over(client: Client, cluster: Cluster, namespace: Namespace) -> None:
    failed(cluster, seconds_ago=25)
    assert "The last scan of this Namespace failed" not in text(client, factories.operator())


def test_a_page_that_looks_again_is_sent_the_failure(client: Client, cluster: Cluster, namespace: Namespace) -> None:
    client.force_login(factories.operator())
    part = {"HX-Request": "true", "HX-Target": "namespace"}
    (seen,) = re.findall(r'data-seen="(\w+)"', client.get(PAGE, headers=part).content.decode())
    assert client.get(PAGE, headers={**part, "HX-PTag": seen}).status_code == 304
    failed(cluster)
    assert client.get(PAGE, headers={**part, "HX-PTag": seen}).status_code == 200


def test_a_scan_that_left_namespaces_out_is_told_above_the_matrix(
    client: Client, cluster: Cluster, namespace: Namespace
) -> None:
    at = timezone.now()
    factories.scan(
        cluster,
        state="done",
        mode="namespaces",
        started_at=at,
        finished_at=at,
        namespaces_done=7,
        namespaces_total=7,
        failed_namespaces=2,
        error=f"Namespace team-vision: {WORDS}",
        remedy=REMEDY,
    )
    page = text(client, factories.operator(), "/")
    assert "2 of 7 Namespaces could not be scanned" in page
    assert f"The last of them: Namespace team-vision: {WORDS}" in page
    assert REMEDY in page
    assert "could not be scanned" not in text(client, factories.owner("grace"), "/")
