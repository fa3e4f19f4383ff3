"""The page of one Namespace, also when much of it could not be read."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import Cluster, Namespace
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_up")]

URL = "/n/prod-eu/team-vision/"


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_information_is_told_as_such_beside_a_namespace_that_is_well(ada: Client, cluster: Cluster) -> None:
    namespace = factories.namespace(cluster, cells={"registry/quay.io": "ok covered"})
    factories.finding(namespace, "HY03", status="ok", reason="shared", message="The login is the same everywhere.")

    page = ada.get(URL)

    assert "for information: The login is the same everywhere." in text(page)
    assert "#i-info" in page.content.decode()


def test_it_shows_owners_credentials_findings_pods_accounts_and_labels(ada: Client, cluster: Cluster) -> None:
    namespace = factories.namespace(
        cluster,
        owners=("grace@example.com",),
        cells={"registry/quay.io": "critical missing", "tls": "ok valid"},
        service_accounts=["default", "default-editor"],
        labels={"team": "vision", "empty": ""},
    )
    factories.finding(namespace)
    factories.finding(namespace, "PO01", object="Pod/web-0", details={"pods": ["web-0"], "raw": "403 Forbidden"})

    page = text(ada.get(URL))

    for words in (
        "grace@example.com",
        "quay.io",
        "missing",
        "TLS",
        "regcred",
        "web-0",
        "403 Forbidden",
        "default-editor",
    ):
        assert words in page
    assert "team=vision" in page
    # Not "seen just now", which is how long ago it was looked at.
    assert page.count("first seen") == 4


def test_what_could_not_be_read_comes_with_the_command_that_grants_it(ada: Client, cluster: Cluster) -> None:
    factories.namespace(
        cluster, unreadable={"secrets": "forbidden", "pods": "forbidden"}, unasked={"PS01": "secrets: no"}
    )

    page = text(ada.get(URL))

    assert "What Credboard could not see here" in page
    assert "--verb=list --resource=pods,secrets --namespace team-vision" in page
    assert "--serviceaccount=credboard:reader --namespace team-vision" in page
    assert "1 check could not be asked in full" in page
    assert "Nothing in this Namespace needs a credential" not in page


def test_no_command_is_offered_where_rights_are_not_what_is_missing(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, unreadable={"secrets": "an object could not be decoded"})

    page = text(ada.get(URL))

    assert "an object could not be decoded" in page
    assert "kubectl create role" not in page


def test_a_namespace_that_was_never_scanned_says_so(ada: Client, cluster: Cluster) -> None:
    Namespace.objects.create(cluster=cluster, name="team-vision")

    page = text(ada.get(URL))

    assert "has not been scanned yet" in page
    assert "Nothing in this Namespace needs a credential" not in page


def test_a_namespace_that_needs_nothing_says_so(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster)

    assert "Nothing in this Namespace needs a credential" in text(ada.get(URL))


def test_a_stale_namespace_warns_before_anything_else(ada: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, scanned_at=timezone.now() - timedelta(hours=1), cells={"tls": "critical expired"})

    page = text(ada.get(URL))

    assert "too long ago" in page
    assert page.index("too long ago") < page.index("Credentials")


@pytest.mark.parametrize("path", [URL, f"{URL}cells/registry/quay.io/"])
def test_a_finding_that_was_seen_too_long_ago_is_unknown(ada: Client, cluster: Cluster, path: str) -> None:
    long_ago = timezone.now() - timedelta(hours=5)
    namespace = factories.namespace(cluster, cells={"registry/quay.io": "critical missing"}, scanned_at=long_ago)
    factories.finding(namespace)

    assert "unknown, was critical: Pod web-0 names the pull Secret" in text(ada.get(path))


def test_a_namespace_that_is_gone_hidden_or_never_was_is_the_same_404(client: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, "hidden")
    factories.namespace(cluster, "gone", owners=("grace",), gone_at=timezone.now())
    client.force_login(factories.owner("grace"))
    cut = re.compile(r'data-now="[^"]*"|X-CSRFToken": "\w+"|value="\w{64}"')

    answers = [client.get(f"/n/prod-eu/{name}/") for name in ("hidden", "gone", "nothing")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({cut.sub("", answer.content.decode()) for answer in answers}) == 1


def test_the_price_of_the_page_does_not_grow_with_what_is_on_it(
    ada: Client, cluster: Cluster, django_assert_num_queries: Any
) -> None:
    namespace = factories.namespace(cluster, owners=("a", "b", "c"))
    for number in range(40):
        factories.cell(namespace, f"registry/r{number}.example.com", "critical missing")
        factories.finding(namespace, object=f"Secret/s{number}")

    # Session and person; Namespace; owners; cells; acknowledgements; findings; changes; clusters; scans.
    with django_assert_num_queries(11):
        ada.get(URL)
