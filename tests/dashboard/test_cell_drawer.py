"""The drawer of a cell: why, whom it hurts, what to do, and what a person may not be told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import Cluster, Namespace
from tests import factories

QUAY = "registry/quay.io"
URL = "/n/prod-eu/team-vision/cells/registry/quay.io/"
NOW = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)

page_test = pytest.mark.django_db


@pytest.fixture
def cluster(broker_up: None) -> Cluster:
    return factories.cluster(scanned_at=timezone.now())


@pytest.fixture
def namespace(cluster: Cluster) -> Namespace:
    return factories.namespace(cluster, owners=("grace",))


@pytest.fixture
def grace(client: Client) -> Client:
    client.force_login(factories.owner("grace"))
    return client


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@page_test
def test_the_chain_is_drawn_as_steps_with_the_broken_one_marked(ada: Client, namespace: Namespace) -> None:
    chain = [
        {"step": "pod", "state": "ok", "title": "web-0", "note": ""},
        {"step": "secret", "state": "broken", "title": "regcred is not here", "note": "Only Secrets of its own."},
        {"step": "registry", "state": "after", "title": "would be asked", "note": ""},
    ]
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "missing", "details": {"chain": chain}})

    response = ada.get(URL)

    assert "Secret , broken here: regcred is not here Only Secrets of its own." in text(response)
    assert re.findall(r'<li class="(ok|broken|after)">', response.content.decode()) == ["ok", "broken", "after"]


@page_test
@pytest.mark.parametrize(
    "details", [{}, {"chain": None}, {"chain": "x"}, {"chain": [1, {"odd": 2}]}, {"pods": [None, 1]}]
)
def test_details_of_another_shape_do_not_break_the_drawer(
    ada: Client, namespace: Namespace, details: dict[str, Any]
) -> None:
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "missing", "details": details})

    assert "Missing here" in text(ada.get(URL))


@page_test
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Verified not verified Scanned"),
        ({"details": {"awaiting": 1}}, "not verified yet: 1 Pod that failed before it was written will be tried again"),
        ({"details": {"awaiting": 2}}, "not verified yet: 2 Pods that failed"),
        ({"verified": "pod"}, "Verified a Pod started with it"),
    ],
)
def test_how_a_credential_came_to_be_called_fine(
    ada: Client, namespace: Namespace, fields: dict[str, Any], words: str
) -> None:
    factories.cell(namespace, QUAY, {"status": "ok", "reason": "covered", **fields})

    assert words in text(ada.get(URL))


@page_test
def test_affected_pods_come_with_what_the_runtime_said(ada: Client, namespace: Namespace) -> None:
    factories.cell(
        namespace,
        QUAY,
        {"status": "critical", "reason": "missing", "pod_count": 7, "details": {"pods": ["web-0", "web-1"]}},
    )
    told = {
        "pods": ["web-0"],
        "label": "No credential was used",
        "advice": "Give it one.",
        "raw": "403 <b>Forbidden</b>",
    }
    factories.finding(namespace, "PO01", object="Pod/web-0", details=told)

    response = ada.get(URL)

    assert "403 &lt;b&gt;Forbidden&lt;/b&gt;" in response.content.decode()
    for words in ("7 Pods are affected", "web-1", "No credential was used", "Give it one.", "and 5 more"):
        assert words in text(response)


@page_test
def test_what_no_new_secret_puts_right_is_told_with_what_to_do(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, "critical denied")
    told = {"pods": ["web-0"], "label": "Not allowed", "advice": "Give the account the right.", "raw": "403"}
    factories.finding(namespace, "PO01", object="Pod/web-0", reason="denied", details=told)

    assert "What to do Give the account the right." in text(ada.get(URL))


@page_test
def test_what_a_new_secret_puts_right_is_told_by_its_button_alone(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, "critical missing")
    factories.finding(namespace, "PS01")

    page = text(ada.get(URL))

    assert "Create it here" in page
    assert "What to do" not in page


@page_test
def test_a_finding_is_told_with_why_it_matters_and_how_to_fix_it(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, "critical missing")
    factories.finding(namespace, "PS01")

    page = text(ada.get(URL))

    assert "PS01 missing-pull-secret" in page
    assert "The kubelet skips a missing Secret" in page
    assert "How to fix. Create the Secret" in page


@page_test
def test_a_finding_of_a_check_that_is_no_more_keeps_its_message(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, "critical missing")
    factories.finding(namespace, "ZZ99", message="Something old.")

    assert "Something old." in text(ada.get(URL))


@page_test
def test_an_operator_is_told_where_the_secret_exists(ada: Client, cluster: Cluster, namespace: Namespace) -> None:
    factories.namespace(cluster, "kubeflow")
    factories.cell(namespace, QUAY, "critical missing")
    factories.finding(namespace, "PS05", details={"elsewhere": [["kubeflow", "regcred"]], "elsewhere_count": 1})

    assert "Missing here, exists in kubeflow" in text(ada.get(URL))


@page_test
def test_an_owner_is_told_that_it_exists_but_not_where(grace: Client, cluster: Cluster, namespace: Namespace) -> None:
    factories.namespace(cluster, "kubeflow")
    places = {"elsewhere": [["kubeflow", "their-secret"]], "elsewhere_count": 1}
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "missing", "details": places})
    factories.finding(namespace, "PS05", details=places)

    response = grace.get(URL)

    assert "In another Namespace." in text(response)
    assert "kubeflow" not in response.content.decode()
    assert "their-secret" not in response.content.decode()


@page_test
def test_an_owner_of_both_is_told_where(grace: Client, cluster: Cluster, namespace: Namespace) -> None:
    factories.namespace(cluster, "mine-too", owners=("grace",))
    factories.cell(namespace, QUAY, "critical missing")
    places = [["mine-too", "regcred"], ["hidden", "regcred"]]
    factories.finding(namespace, "PS05", details={"elsewhere": places, "elsewhere_count": 2})

    page = text(grace.get(URL))

    assert "exists in mine-too" in page
    assert "hidden" not in page


@page_test
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "no expiry known"),
        ({"details": {"never_expires": True}}, "Expires never"),
        ({"expires_at": NOW, "expiry_source": "x509"}, "says the certificate itself"),
        ({"expires_at": NOW, "expiry_source": "jwt"}, "says the token itself"),
    ],
)
def test_no_expiry_known_is_not_never(ada: Client, namespace: Namespace, fields: dict[str, Any], words: str) -> None:
    factories.cell(namespace, QUAY, {"status": "ok", "reason": "covered", **fields})

    assert words in text(ada.get(URL))


@page_test
@pytest.mark.parametrize(
    ("credential", "told", "is_offered"),
    [
        (QUAY, "critical missing", True),
        (QUAY, "warning latent", True),
        (QUAY, "critical rejected", False),
        (QUAY, "critical expired", False),
        (QUAY, "critical unreachable", False),
        (QUAY, "ok covered", False),
        ("token/api", "critical expired", False),
        ("tls", "critical expired", False),
    ],
)
def test_repair_is_offered_where_a_new_pull_secret_repairs(
    ada: Client, namespace: Namespace, credential: str, told: str, is_offered: bool
) -> None:
    factories.cell(namespace, credential, told)

    page = ada.get(f"/n/prod-eu/team-vision/cells/{credential}/").content.decode()

    assert (f"/n/prod-eu/team-vision/create/{credential}/" in page) is is_offered


@page_test
def test_a_stale_cell_says_what_it_was_and_offers_no_repair(ada: Client, cluster: Cluster) -> None:
    old = factories.namespace(cluster, scanned_at=timezone.now() - timedelta(hours=1))
    factories.cell(old, QUAY, "critical missing")

    page = text(ada.get(URL))

    assert "Not known any more" in page
    assert "It was missing then." in page
    assert "Create it here" not in page


@page_test
def test_hidden_and_missing_are_the_same_404(grace: Client, cluster: Cluster) -> None:
    theirs = factories.namespace(cluster, "theirs")
    factories.cell(theirs, QUAY, "critical missing")

    hidden = grace.get("/n/prod-eu/theirs/cells/registry/quay.io/")
    missing = grace.get("/n/prod-eu/nothing/cells/registry/quay.io/")

    assert hidden.status_code == missing.status_code == 404
    cut = re.compile(r'data-now="[^"]*"|X-CSRFToken": "\w+"|value="\w{64}"')
    assert cut.sub("", hidden.content.decode()) == cut.sub("", missing.content.decode())


@page_test
@pytest.mark.parametrize("target", ["cell", "drawer-body"])
def test_htmx_gets_the_drawer_alone(ada: Client, namespace: Namespace, target: str) -> None:
    factories.cell(namespace, QUAY, "critical missing")

    part = ada.get(URL, headers={"HX-Request": "true", "HX-Target": target}).content.decode()

    assert part.lstrip().startswith('<article id="cell"')


@page_test
def test_an_unchanged_drawer_is_not_sent_again(ada: Client, namespace: Namespace) -> None:
    cell = factories.cell(namespace, QUAY, "critical missing")
    headers = {"HX-Request": "true", "HX-Target": "cell"}
    (seen,) = re.findall(r'data-seen="(\w+)"', ada.get(URL, headers=headers).content.decode())

    assert ada.get(URL, headers={**headers, "HX-PTag": seen}).status_code == 304

    cell.status, cell.reason = "ok", "covered"
    cell.save()
    assert "In order" in text(ada.get(URL, headers={**headers, "HX-PTag": seen}))


@page_test
def test_an_open_drawer_follows_when_the_namespace_was_scanned(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, "critical missing")
    headers = {"HX-Request": "true", "HX-Target": "cell"}
    (seen,) = re.findall(r'data-seen="(\w+)"', ada.get(URL, headers=headers).content.decode())

    namespace.scanned_at = timezone.now()
    namespace.save()

    assert ada.get(URL, headers={**headers, "HX-PTag": seen}).status_code == 200


@page_test
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("CE03", "Certificate and key do not belong together"),
        ("CE04", "The chain lacks an intermediate certificate"),
        ("CE05", "Not valid yet"),
        ("TK05", "The session token is missing"),
        ("PS02", "The Secret cannot be read"),
    ],
)
def test_what_does_not_fit_is_told_from_what_cannot_be_read(
    ada: Client, namespace: Namespace, code: str, words: str
) -> None:
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "malformed", "details": {"code": code}})

    assert words in text(ada.get(URL))


@page_test
def test_a_secret_with_a_flaw_that_could_be_read_is_not_said_to_be_unreadable(
    ada: Client, namespace: Namespace
) -> None:
    factories.cell(namespace, QUAY, {"status": "warning", "reason": "malformed"})

    words = text(ada.get(URL))

    assert "The Secret looks wrong" in words
    assert "cannot be read" not in words


@page_test
def test_a_refused_login_comes_with_the_command_that_replaces_it(ada: Client, namespace: Namespace) -> None:
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "rejected", "secret": "quay-login"})

    page = text(ada.get(f"/n/prod-eu/team-vision/cells/{QUAY}/"))

    assert "kubectl create secret docker-registry quay-login --namespace team-vision --docker-server=quay.io" in page
    assert "| kubectl replace --filename -" in page


@page_test
def test_a_certificate_that_nobody_trusts_is_told_from_a_silent_registry(ada: Client, namespace: Namespace) -> None:
    details = {"cause": "tls_untrusted", "chain": [], "pods": []}
    factories.cell(namespace, QUAY, {"status": "critical", "reason": "unreachable", "details": details})

    page = text(ada.get(f"/n/prod-eu/team-vision/cells/{QUAY}/"))

    assert "certificate not trusted" in page


@pytest.mark.django_db
@pytest.mark.usefixtures("broker_up")
@pytest.mark.parametrize(
    ("reason", "days", "headline"), [("expired", -4, "Expired 4 d ago"), ("expiring", 3.1, "Expires in 3 d")]
)
def test_the_headline_says_when_a_credential_ends_and_not_since_when_that_is_known(
    ada: Client, cluster: Cluster, reason: str, days: float, headline: str
) -> None:
    now = timezone.now()
    told = {"status": "critical", "reason": reason, "expires_at": now + timedelta(days=days), "since": now}
    factories.namespace(cluster, "team-vision", cells={"registry/quay.io": told})

    page = ada.get("/n/prod-eu/team-vision/cells/registry/quay.io/").content.decode()

    text = re.sub(r"<[^>]+>", "", page)
    assert headline in text
    assert re.search(r"First seen \d s ago\.", text)


@page_test
def test_what_stands_for_more_than_is_shown_says_what_to_do(ada: Client, namespace: Namespace) -> None:
    counted = {"cells": 812, "findings": 3120}
    factories.cell(namespace, "others", {"status": "unknown", "reason": "too-many", "details": counted})

    told = text(ada.get("/n/prod-eu/team-vision/cells/others/"))

    assert "Others, not shown" in told
    assert "More than 500 credentials or 2,000 findings here" in told
    assert "It has 812 cells and 3,120 findings." in told
    assert "Delete the Secrets that nothing needs" in told
