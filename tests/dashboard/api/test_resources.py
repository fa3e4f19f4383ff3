"""What each resource shows, and to whom: the same as the pages, from the same rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.models import Acknowledgement
from scanner.models import AuditEntry, Cluster, Namespace, Scan
from tests import factories
from tests.dashboard.api.conftest import Program

pytestmark = pytest.mark.django_db

LISTS = ("clusters", "namespaces", "cells", "findings", "credentials", "expiry", "scans", "acknowledgements")
QUAY = "registry/quay.io"


@pytest.fixture(name="cluster", autouse=True)
def _cluster() -> Cluster:
    """Two Namespaces of two people, with something of everything."""
    now = timezone.now()
    made = factories.cluster("prod-eu", scanned_at=now)
    for name, person in (("team-vision", "grace"), ("team-nlp", "linus@example.com")):
        ends = {"status": "warning", "reason": "expiring", "expires_at": now + timedelta(days=3)}
        where = factories.namespace(
            made, name, owners=(person,), labels={"team": name}, cells={QUAY: "critical missing", "tls": ends}
        )
        factories.finding(where, object=f"Secret/of-{name}")
        factories.scan(made, namespace=name, state=Scan.State.FAILED, error=f"refused at {name}", remedy="grant it")
        Acknowledgement.objects.create(
            namespace=where, credential=QUAY, status="critical", reason="missing", note="known", actor=person,
            until=now + timedelta(days=1),
        )  # fmt: skip
    return made


@pytest.fixture(name="ada")
def _ada(program: Program, operator: User) -> Client:
    return program(operator, scope="write")


@pytest.fixture(name="grace")
def _grace(program: Program) -> Client:
    return program(factories.owner(), scope="write")


def items(client: Client, path: str) -> list[dict[str, Any]]:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["items"]
    return found


@pytest.mark.parametrize("resource", LISTS)
def test_nobody_gets_a_list_without_saying_who_asks(resource: str) -> None:
    response = Client().get(f"/api/v1/{resource}")

    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("resource", LISTS)
def test_a_stranger_gets_empty_lists(program: Program, resource: str) -> None:
    assert items(program(factories.owner("stranger")), resource) == []


@pytest.mark.parametrize("resource", LISTS)
def test_an_owner_gets_what_is_theirs_and_not_a_word_of_the_rest(grace: Client, resource: str) -> None:
    response = grace.get(f"/api/v1/{resource}")

    assert response.json()["items"]
    assert "team-nlp" not in response.content.decode()


@pytest.mark.parametrize("resource", [name for name in LISTS if name not in ("clusters", "credentials")])
def test_an_operator_gets_everything(ada: Client, resource: str) -> None:
    text = ada.get(f"/api/v1/{resource}").content.decode()

    assert "team-nlp" in text
    assert "team-vision" in text


@pytest.mark.parametrize("resource", LISTS)
def test_the_session_of_a_browser_reads_as_its_person_may(client: Client, resource: str) -> None:
    client.force_login(factories.owner())

    response = client.get(f"/api/v1/{resource}")

    assert response.status_code == 200
    assert "team-nlp" not in response.content.decode()


@pytest.mark.parametrize("resource", LISTS)
def test_a_key_for_one_namespace_shows_only_that(
    program: Program, operator: User, cluster: Cluster, resource: str
) -> None:
    client = program(operator, cluster=cluster, namespace="team-vision")

    assert "team-nlp" not in client.get(f"/api/v1/{resource}").content.decode()


def test_a_key_for_another_cluster_shows_nothing_of_this_one(program: Program, operator: User) -> None:
    other = factories.cluster("prod-us")
    client = program(operator, cluster=other)

    assert [one["name"] for one in items(client, "clusters")] == ["prod-us"]
    for resource in LISTS[1:]:
        assert items(client, resource) == []
    assert client.get("/api/v1/namespaces/prod-eu/team-vision").status_code == 404


def test_a_namespace_comes_with_its_cells_and_open_findings(grace: Client) -> None:
    told = grace.get("/api/v1/namespaces/prod-eu/team-vision").json()

    assert told["status"] == "critical"
    assert told["owners"] == [{"kind": "user", "name": "grace", "source": "profile"}]
    assert {cell["credential"]: cell["status"] for cell in told["cells"]} == {QUAY: "critical", "tls": "warning"}
    assert [cell["is_acknowledged"] for cell in told["cells"]] == [True, False]
    assert [finding["object"] for finding in told["findings"]] == ["Secret/of-team-vision"]
    assert told["url"] == "http://testserver/n/prod-eu/team-vision/"


def test_what_was_seen_too_long_ago_is_unknown_everywhere(ada: Client, cluster: Cluster) -> None:
    Namespace.objects.filter(name="team-nlp").update(scanned_at=timezone.now() - timedelta(days=1))

    stale = {one["name"]: (one["status"], one["reason"]) for one in items(ada, "namespaces")}
    cells = {(one["namespace"], one["status"]) for one in items(ada, "cells")}

    assert stale["team-nlp"] == ("unknown", "stale")
    assert stale["team-vision"][0] == "critical"
    assert {status for name, status in cells if name == "team-nlp"} == {"unknown"}
    assert [one["name"] for one in items(ada, "namespaces?status=unknown")] == ["team-nlp"]
    assert [one["name"] for one in items(ada, "namespaces?status=critical")] == ["team-vision"]
    assert [one["name"] for one in items(ada, "namespaces?reason=stale")] == ["team-nlp"]
    assert {one["namespace"] for one in items(ada, "cells?status=unknown")} == {"team-nlp"}
    assert {one["namespace"] for one in items(ada, "cells?reason=stale")} == {"team-nlp"}
    counts = {one["credential"]: one for one in items(ada, "credentials")}
    assert (counts[QUAY]["critical"], counts[QUAY]["unknown"]) == (1, 1)
    assert {one["is_stale"] for one in items(ada, "findings?namespace=team-nlp")} == {True}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=VISION", ["team-vision"]),
        ("owner=Grace", ["team-vision"]),
        ("label=team=team-nlp", ["team-nlp"]),
        ("label=team", ["team-nlp", "team-vision"]),
        ("reason=missing", ["team-nlp", "team-vision"]),
        ("reason=denied", []),
        ("credential=tls&status=warning", ["team-nlp", "team-vision"]),
        ("credential=tls&status=critical", []),
        ("credential=tls&reason=expiring", ["team-nlp", "team-vision"]),
        ("credential=storage/s3", []),
        ("status=ok", []),
        ("cluster=prod-eu", ["team-nlp", "team-vision"]),
    ],
)
def test_namespaces_are_found_as_on_the_matrix(ada: Client, query: str, expected: list[str]) -> None:
    assert [one["name"] for one in items(ada, f"namespaces?{query}")] == expected
    page = ada.get  # the key is no good for pages
    assert page("/").status_code == 302


def test_findings_are_found_by_code_status_and_state(ada: Client, cluster: Cluster) -> None:
    done = Namespace.objects.get(name="team-nlp")
    factories.finding(done, "TK01", status="warning", object="Secret/old", resolved_at=timezone.now())

    assert len(items(ada, "findings")) == 2
    assert [one["object"] for one in items(ada, "findings?state=resolved")] == ["Secret/old"]
    assert len(items(ada, "findings?state=all")) == 3
    assert len(items(ada, "findings?code=PS01")) == 2
    assert items(ada, "findings?code=TK01") == []
    assert items(ada, "findings?status=warning") == []


def test_a_finding_tells_places_only_to_who_may_see_them(ada: Client, grace: Client) -> None:
    details = {
        "elsewhere": [["team-nlp", "regcred"], ["team-vision", "copy"]],
        "elsewhere_registries": ["hidden.example.com"],
    }
    factories.finding(Namespace.objects.get(name="team-vision"), "PS05", details=details, object="Secret/regcred")

    for path in ("findings?code=PS05",):
        assert [one["namespace"] for one in items(ada, path)[0]["elsewhere"]] == ["team-nlp", "team-vision"]
        assert [one["namespace"] for one in items(grace, path)[0]["elsewhere"]] == ["team-vision"]
    text = grace.get("/api/v1/namespaces/prod-eu/team-vision").content.decode()
    assert "team-nlp" not in text
    assert "hidden.example.com" not in text


def test_expiry_is_sorted_by_the_end_and_bounded_by_it(ada: Client, cluster: Cluster) -> None:
    now = timezone.now()
    for days in (40, 20, -1):
        fields = {"status": "ok", "reason": "covered", "expires_at": now + timedelta(days=days)}
        factories.namespace(cluster, f"in-{days}", cells={"tls": fields})

    names = [one["namespace"] for one in items(ada, "expiry")]
    until = (now + timedelta(days=30)).isoformat().replace("+", "%2B")

    assert names[0] == "in--1"
    assert names[-2:] == ["in-20", "in-40"]
    assert "in-40" not in [one["namespace"] for one in items(ada, f"expiry?until={until}")]
    assert [one["namespace"] for one in items(ada, f"expiry?since={until}")] == ["in-40"]


def test_scans_tell_an_owner_nothing_of_the_whole_cluster(grace: Client, ada: Client, cluster: Cluster) -> None:
    factories.scan(
        cluster,
        state=Scan.State.FAILED,
        critical=7,
        namespaces_total=214,
        error="Namespace team-nlp: refused",
        remedy="x",
    )

    whole = next(one for one in items(grace, "scans") if not one["namespace"])

    assert (whole["critical"], whole["namespaces_total"], whole["remedy"]) == (None, None, "")
    assert whole["error"] == "The scan failed. An operator of Credboard can see why."
    own = next(one for one in items(grace, "scans") if one["namespace"])
    assert (own["error"], own["remedy"]) == ("refused at team-vision", "")
    assert next(one for one in items(ada, "scans") if not one["namespace"])["critical"] == 7


def test_an_operator_has_a_cluster_scanned(ada: Client, told: list[bool], cluster: Cluster) -> None:
    response = ada.post("/api/v1/clusters/prod-eu/scan")

    assert response.status_code == 202
    assert response["Location"] == "/api/v1/scans?cluster=prod-eu&limit=1"
    assert response.json()["is_told"] is True
    assert told == [True]
    cluster.refresh_from_db()
    assert cluster.next_scan_at is not None
    assert cluster.next_scan_at <= timezone.now()
    assert ada.get(response["Location"]).status_code == 200


def test_an_owner_may_not_have_a_cluster_scanned_but_their_namespace(grace: Client, told: list[bool]) -> None:
    assert grace.post("/api/v1/clusters/prod-eu/scan").status_code == 403
    assert told == []
    assert grace.post("/api/v1/namespaces/prod-eu/team-vision/scan").status_code == 202
    assert told == [True]
    assert grace.post("/api/v1/namespaces/prod-eu/team-nlp/scan").status_code == 404


def test_a_key_for_one_namespace_cannot_have_the_cluster_scanned(
    program: Program, operator: User, cluster: Cluster
) -> None:
    client = program(operator, scope="write", cluster=cluster, namespace="team-vision")

    assert client.post("/api/v1/clusters/prod-eu/scan").status_code == 403
    assert client.post("/api/v1/namespaces/prod-eu/team-vision/scan").status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "clusters/prod-eu/scan"),
        ("post", "namespaces/prod-eu/team-vision/scan"),
        ("post", "acknowledgements"),
        ("delete", "acknowledgements/1"),
    ],
)
def test_a_read_key_writes_nothing(program: Program, operator: User, method: str, path: str, told: list[bool]) -> None:
    client = program(operator)
    until = (timezone.now() + timedelta(days=1)).isoformat()
    body = {"cluster": "prod-eu", "namespace": "team-vision", "credential": QUAY, "note": "x", "until": until}

    response = getattr(client, method)(
        f"/api/v1/{path}", body if path == "acknowledgements" else None, "application/json"
    )

    assert response.status_code == 403
    assert response.json()["type"].endswith("#problem-read-only-key")
    assert told == []
    assert Acknowledgement.objects.count() == 2


def new(**changes: Any) -> dict[str, Any]:
    until = (timezone.now() + timedelta(days=2)).isoformat()
    told = {"cluster": "prod-eu", "namespace": "team-vision", "credential": "tls", "note": "rotated on Friday"}
    return {**told, "until": until, **changes}


def test_a_cell_is_acknowledged_and_that_is_ended(grace: Client) -> None:
    made = grace.post("/api/v1/acknowledgements", new(is_snooze=True), "application/json")

    assert made.status_code == 201
    told = made.json()
    assert (told["actor"], told["note"], told["is_snooze"]) == ("grace", "rotated on Friday", True)
    cells = {one["credential"]: one["is_acknowledged"] for one in items(grace, "cells")}
    assert cells["tls"] is True
    assert told["id"] in [one["id"] for one in items(grace, "acknowledgements?credential=tls")]

    assert grace.delete(f"/api/v1/acknowledgements/{told['id']}").status_code == 204

    assert items(grace, "acknowledgements?credential=tls") == []
    assert [one["ended_by"] for one in items(grace, "acknowledgements?credential=tls&state=all")] == ["grace"]
    assert AuditEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"namespace": "team-nlp"}, 404),
        ({"namespace": "no-such"}, 404),
        ({"cluster": "no-such"}, 404),
        ({"credential": "storage/s3"}, 404),
        ({"until": "2020-01-01T00:00:00Z"}, 422),
        ({"until": "2026-12-24T18:00:00"}, 422),
        ({"until": "tomorrow"}, 422),
        ({"until": 1798000000}, 422),
        ({"until": "2199-12-24T18:00:00Z"}, 422),
        ({"note": ""}, 422),
        ({"note": "   "}, 422),
        ({"note": "a\0b"}, 422),
        ({"note": "x" * 501}, 422),
        ({"is_snooze": "yes"}, 422),
        ({"status": "ok"}, 422),
    ],
)
def test_an_acknowledgement_that_cannot_be_is_refused_with_the_reason(
    grace: Client, changes: dict[str, Any], status: int
) -> None:
    response = grace.post("/api/v1/acknowledgements", new(**changes), "application/json")

    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["remedy"]
    assert Acknowledgement.objects.count() == 2


def test_what_is_well_cannot_be_acknowledged(grace: Client) -> None:
    factories.cell(Namespace.objects.get(name="team-vision"), "storage/s3", "ok covered")

    response = grace.post("/api/v1/acknowledgements", new(credential="storage/s3"), "application/json")

    assert response.status_code == 409
    assert "nothing to acknowledge" in response.json()["detail"]


def test_the_acknowledgement_of_somebody_else_cannot_be_ended(grace: Client) -> None:
    other = Acknowledgement.objects.get(namespace__name="team-nlp")

    assert grace.delete(f"/api/v1/acknowledgements/{other.pk}").status_code == 404
    assert grace.delete("/api/v1/acknowledgements/99999999999999999999").status_code in (404, 422)
    other.refresh_from_db()
    assert other.ended_at is None
