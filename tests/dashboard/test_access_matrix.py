"""Every URL × every kind of person × reading and writing. A URL that is not in the table fails."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django.fixtures import Settings

from dashboard.models import AlertRoute, Mail
from scanner import scan
from tests import factories

pytestmark = pytest.mark.django_db

IN_NAMESPACE = {"cluster": "prod-eu", "namespace": "team-vision"}
CELL = {**IN_NAMESPACE, "credential": "registry/quay.io"}
ROUTE = {"pk": "1"}
CLUSTER = {"pk": "4712"}
LOGIN = 302
MAIL = "4711"
LIST = (401, 200, 200, 200)  # of the API
NO_POST = (405, 405, 405, 405)
PEOPLE = ("anonymous", "stranger", "owner", "operator")


@dataclass(frozen=True)
class Row:
    """Expected statuses for anonymous, stranger, owner and operator, of GET and of POST with `data`."""

    get: tuple[int, int, int, int]
    post: tuple[int, int, int, int]
    kwargs: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)


TABLE = {
    "matrix": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "namespace": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 405, 405, 405), kwargs=IN_NAMESPACE),
    "cell": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 405, 405, 405), kwargs=CELL),
    "scan-namespace": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 404, 302, 302), kwargs=IN_NAMESPACE),
    "scan-now": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 403, 403, 302), kwargs={"cluster": "prod-eu"}),
    "create": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 404, 422, 422), kwargs=CELL),
    "created": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 404, 200, 200), kwargs=CELL),
    "acknowledge": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 404, 422, 422), kwargs=CELL),
    "acknowledgement-end": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 404, 302, 302), kwargs=CELL),
    "expiry": Row(get=(LOGIN, 302, 200, 200), post=(LOGIN, 405, 405, 405)),
    "findings": Row(get=(LOGIN, 302, 200, 200), post=(LOGIN, 405, 405, 405)),
    "findings-acknowledge": Row(get=(LOGIN, 302, 200, 200), post=(LOGIN, 302, 422, 422)),
    "audit": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "reports": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "report-preview": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "report-preview-html": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "report-send-test": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 302, 302, 302)),
    "report-mail": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 405, 405, 405), kwargs={"pk": MAIL}),
    "report-mail-html": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 405, 405, 405), kwargs={"pk": MAIL}),
    "report-send-again": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 404, 302, 302), kwargs={"pk": MAIL}),
    "alert-routes": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 405, 405, 405)),
    "alert-route-add": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 422)),
    "alert-route": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 422), kwargs=ROUTE),
    "alert-route-test": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 403, 403, 200), kwargs=ROUTE),
    "alert-route-critical": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 403, 403, 302), kwargs=ROUTE),
    "alert-route-retry": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 403, 403, 302), kwargs=ROUTE),
    "alert-route-delete": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 302), kwargs=ROUTE),
    "clusters": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 405, 405, 405)),
    "cluster-add": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 422)),
    "cluster-edit": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 422), kwargs=CLUSTER),
    "cluster-test": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 403, 403, 200), kwargs=CLUSTER),
    "cluster-remove": Row(get=(LOGIN, 403, 403, 200), post=(LOGIN, 403, 403, 422), kwargs=CLUSTER),
    "settings": Row(get=(LOGIN, 302, 302, 302), post=(LOGIN, 405, 405, 405)),
    "report-settings": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 422, 422, 422)),
    "report-confirm": Row(get=(LOGIN, 404, 404, 404), post=(LOGIN, 404, 404, 404), kwargs={"token": "forged"}),
    "unsubscribe": Row(get=(404, 404, 404, 404), post=(404, 404, 404, 404), kwargs={"token": "1:forged"}),
    "login": Row(get=(200, 302, 302, 302), post=(200, 302, 302, 302)),
    "new_password": Row(get=(LOGIN, 302, 302, 302), post=(LOGIN, 302, 302, 302)),
    "logout": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 302, 302, 302)),
    "password": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 200, 200, 200)),
    "password_changed": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "metrics": Row(get=(401, 403, 403, 200), post=(405, 405, 405, 405)),
    "api-clusters": Row(get=LIST, post=NO_POST),
    "api-scan-cluster": Row(get=NO_POST, post=(401, 404, 403, 202), kwargs={"cluster": "prod-eu"}),
    "api-namespaces": Row(get=LIST, post=NO_POST),
    "api-namespace": Row(get=(401, 404, 200, 200), post=NO_POST, kwargs=IN_NAMESPACE),
    "api-scan-namespace": Row(get=NO_POST, post=(401, 404, 202, 202), kwargs=IN_NAMESPACE),
    "api-cells": Row(get=LIST, post=NO_POST),
    "api-expiry": Row(get=LIST, post=NO_POST),
    "api-findings": Row(get=LIST, post=NO_POST),
    "api-credentials": Row(get=LIST, post=NO_POST),
    "api-scans": Row(get=LIST, post=NO_POST),
    "api-acknowledgements": Row(get=LIST, post=(401, 415, 415, 415)),
    "api-acknowledgement": Row(get=NO_POST, post=NO_POST, kwargs={"pk": "1"}),
    "api-nothing": Row(get=(404, 404, 404, 404), post=(404, 404, 404, 404), kwargs={"path": "nothing"}),
    "api-reference": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 405, 405, 405)),
    "api-openapi": Row(get=(200, 200, 200, 200), post=NO_POST),
    "api-keys": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 422, 422, 422)),
    "api-key-revoke": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 404, 404, 404), kwargs={"pk": "1"}),
    "calendar-feeds": Row(get=(LOGIN, 200, 200, 200), post=(LOGIN, 200, 200, 200)),
    "calendar-feed-revoke": Row(get=(LOGIN, 405, 405, 405), post=(LOGIN, 404, 404, 404), kwargs={"pk": "1"}),
    "calendar": Row(get=(404, 404, 404, 404), post=NO_POST, kwargs={"token": "forged"}),
    "export": Row(get=(LOGIN, 404, 200, 200), post=(LOGIN, 405, 405, 405), kwargs={"table": "matrix"}),
    "healthz": Row(get=(200, 200, 200, 200), post=(405, 405, 405, 405)),
    "readyz": Row(get=(200, 200, 200, 200), post=(405, 405, 405, 405)),
}
ABOUT_A_NAMESPACE = [name for name, row in TABLE.items() if "namespace" in row.kwargs]


def names(resolver: URLResolver | None = None) -> list[str]:
    """The names of all URL patterns; "?" and the route for one without."""
    found: list[str] = []
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            found += names(entry)
        elif isinstance(entry, URLPattern):
            found.append(entry.name or f"? {entry.pattern}")
    return found


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setattr(scan, "tell_dispatcher", lambda: True)
    cluster = factories.cluster("prod-eu", pk=int(CLUSTER["pk"]), kubeconfig="/no/such/kubeconfig")
    factories.namespace(
        cluster,
        "team-vision",
        owners=("owner",),
        cells={"registry/quay.io": "critical missing"},
        service_accounts=["default"],
    )
    # Whose address no key decrypts, so a test says so and reaches nothing.
    AlertRoute.objects.create(pk=1, name="platform", url=b"not encrypted", service="json", created_by="ada")
    Mail.objects.create(pk=int(MAIL), key="report:1", kind="report", to="owner@example.com", text="All well")


def client_of(person: str) -> Client:
    client = Client()
    if person != "anonymous":
        user = User.objects.create_user(
            username=person,
            email=f"{person}@example.com",
            is_staff=person == "operator",
            password="correct horse battery",
        )
        client.force_login(user)
    return client


def test_every_url_is_in_the_table() -> None:
    assert sorted(names()) == sorted(TABLE)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", TABLE)
def test_each_person_gets_what_the_table_says(name: str, person: str, method: str) -> None:
    row = TABLE[name]
    client = client_of(person)

    response = getattr(client, method)(reverse(name, kwargs=row.kwargs), row.data if method == "post" else {})

    expected = getattr(row, method)[PEOPLE.index(person)]
    assert response.status_code == expected
    if person == "anonymous" and expected == LOGIN and name not in ("logout", "login"):
        assert response.headers["Location"].startswith("/sign-in/")


def body(response: Any) -> str:
    """Without what differs from one answer to the next to the same question."""
    text = response.content.decode()
    text = re.sub(r'(csrfmiddlewaretoken" value="|X-CSRFToken": ")[^"]+', r"\1", text)
    text = re.sub(r'nonce="[^"]+"', "", text)
    text = re.sub(r'"instance": "[^"]+"', "", text)
    return re.sub(r'data-now="[^"]+"|<time.*?</time>', "", text)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ABOUT_A_NAMESPACE)
def test_a_hidden_namespace_answers_exactly_as_a_missing_one(name: str, method: str) -> None:
    client = client_of("stranger")
    hidden = TABLE[name].kwargs

    answers = [
        getattr(client, method)(reverse(name, kwargs=kwargs))
        for kwargs in (hidden, {**hidden, "namespace": "no-such"}, {**hidden, "cluster": "no-such"})
    ]

    assert len({answer.status_code for answer in answers}) == 1
    assert len({body(answer) for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in map(without_length, answers)}) == 1


def without_length(response: Any) -> Any:
    # The CSP header has a nonce; the length is that of the token, which is masked anew each time; calls are counted.
    for header in ("Content-Security-Policy", "Content-Length", "Set-Cookie", "Expires", "X-Request-ID", "RateLimit"):
        response.headers.pop(header, None)
    return response


def test_a_stranger_sees_no_name_of_any_namespace() -> None:
    client = client_of("stranger")

    for name in ("matrix", "audit"):
        assert "team-vision" not in client.get(reverse(name)).content.decode()


def test_writing_needs_the_token_of_the_form() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user(username="owner"))

    for name in ("create", "created", "scan-namespace", "logout", "password"):
        assert client.post(reverse(name, kwargs=TABLE[name].kwargs)).status_code == 403
