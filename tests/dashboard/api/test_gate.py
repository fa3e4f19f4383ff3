"""Who is let in, how often, and how it is told what went wrong."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.api import throttling
from dashboard.models import ApiKey
from scanner.models import Cluster, NamespaceQuerySet
from tests import factories
from tests.dashboard.api.conftest import Program
from tests.rig.valkey import ValkeyServer

pytestmark = pytest.mark.django_db

LIST = "/api/v1/namespaces"


@pytest.fixture(name="cluster", autouse=True)
def _cluster() -> Cluster:
    made = factories.cluster("prod-eu", scanned_at=timezone.now())
    factories.namespace(made, "team-vision", owners=("grace",), cells={"tls": "critical expired"})
    return made


def problem(response: Any, status: int, slug: str) -> dict[str, Any]:
    """Checks the form that all problems have, and gives the body."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["type"] == f"/api/v1/docs#problem-{slug}"
    assert told["status"] == status
    assert all(told[name] for name in ("title", "detail", "instance", "remedy"))
    return told


def bearer(token: str) -> Client:
    return Client(headers={"authorization": f"Bearer {token}"})


def issue(user: User, **fields: Any) -> tuple[ApiKey, str]:
    now = timezone.now()
    limits = {"name": "x", "scope": "read", "expires_at": now + timedelta(days=1), "now": now} | fields
    return ApiKey.objects.issue(user, **limits)


def test_a_key_is_kept_as_a_hash_only() -> None:
    key, token = issue(factories.owner())

    assert token.startswith(f"{key.prefix}_")
    assert len(token.removeprefix(f"{key.prefix}_")) == 43  # 256 bits in base64
    row = ApiKey.objects.values().get()
    assert token not in str(row)
    assert row["hash"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr(key)


def test_a_key_lives_a_year_at_the_most() -> None:
    now = timezone.now()
    for end in (now, now + timedelta(days=366)):
        with pytest.raises(ValueError, match="within a year"):
            issue(factories.owner(f"person-{end.year}"), expires_at=end, now=now)


@pytest.mark.parametrize("token", ["", "cbk_", "cbk_0000_x", "x", "cbk_" + "a" * 5000, "cbk_ü\x7f", "cbk_a b"])
def test_what_is_no_key_is_refused(token: str) -> None:
    told = problem(bearer(token).get(LIST), 401, "not-authenticated")

    assert len(token) < 6 or token not in str(told)


def test_a_wrong_key_does_not_fall_back_on_the_session(client: Client) -> None:
    client.force_login(factories.operator())

    problem(client.get(LIST, headers={"authorization": "Bearer cbk_wrong"}), 401, "not-authenticated")


def test_an_expired_or_revoked_key_and_one_of_somebody_gone_are_refused() -> None:
    grace = factories.owner()
    _, expired_token = issue(grace)
    ApiKey.objects.update(expires_at=timezone.now())
    revoked, revoked_token = issue(grace)
    assert ApiKey.objects.revoke(revoked, now=timezone.now())
    assert not ApiKey.objects.revoke(revoked, now=timezone.now())
    _, gone_token = issue(factories.owner("gone"))
    User.objects.filter(username="gone").update(is_active=False)

    for token in (expired_token, revoked_token, gone_token):
        problem(bearer(token).get(LIST), 401, "not-authenticated")


def test_a_key_sees_what_its_person_may_see_at_that_moment(operator: User) -> None:
    client = bearer(issue(operator)[1])
    assert len(client.get(LIST).json()["items"]) == 1

    User.objects.filter(pk=operator.pk).update(is_staff=False)

    assert client.get(LIST).json()["items"] == []


def test_somebody_from_a_header_is_an_operator_only_while_the_settings_say_so(settings: Settings) -> None:
    client = bearer(issue(User.objects.create_user(username="ada", is_staff=True))[1])
    assert client.get(LIST).json()["items"] == []

    settings.OPERATORS = frozenset({"ada"})

    assert len(client.get(LIST).json()["items"]) == 1


def test_the_last_use_is_noted_at_most_once_a_minute() -> None:
    key, token = issue(factories.owner())
    client = bearer(token)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        client.get(LIST)
    with time_machine.travel(now + timedelta(seconds=59), tick=False):
        client.get(LIST)
    key.refresh_from_db()
    assert key.last_used_at == now
    with time_machine.travel(now + timedelta(seconds=60), tick=False):
        client.get(LIST)
    key.refresh_from_db()
    assert key.last_used_at == now + timedelta(seconds=60)


def test_a_person_from_a_trusted_header_reads(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = (ipaddress.ip_network("127.0.0.1/32"),)

    response = Client(headers={"kubeflow-userid": "grace"}).get(LIST)

    assert [one["name"] for one in response.json()["items"]] == ["team-vision"]


def test_a_browser_needs_the_csrf_token_to_write(operator: User, told: list[bool]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)

    problem(client.post("/api/v1/clusters/prod-eu/scan"), 403, "no-csrf-token")
    assert told == []

    client.get("/settings/api-keys/")
    token = client.cookies[django_settings.CSRF_COOKIE_NAME].value
    assert client.post("/api/v1/clusters/prod-eu/scan", headers={"x-csrftoken": token}).status_code == 202


def test_a_program_with_a_key_needs_no_csrf_token(operator: User) -> None:
    _, token = issue(operator, scope="write")
    client = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {token}"})

    assert client.post("/api/v1/clusters/prod-eu/scan").status_code == 202


def test_an_unknown_writer_is_asked_who_it_is_before_anything_else() -> None:
    problem(Client(enforce_csrf_checks=True).post("/api/v1/clusters/prod-eu/scan"), 401, "not-authenticated")


@pytest.mark.parametrize(
    "path", ["", "nothing", "namespaces/", "namespaces/a", "namespaces/a/b/c", "x" * 3000, "%00", "%ff", "a%0A"]
)
def test_an_unknown_address_is_a_problem_and_not_a_page(path: str) -> None:
    problem(Client().get(f"/api/v1/{path}"), 404, "not-found")


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "post"])
def test_a_method_that_is_not_there_is_told_which_are(method: str) -> None:
    response = getattr(Client(), method)(LIST)

    problem(response, 405, "method-not-allowed")
    assert response["Allow"] == "GET, HEAD"


def test_head_is_get_without_the_body(program: Program) -> None:
    client = program(factories.owner())

    head, get = client.head(LIST), client.get(LIST)

    assert head.status_code == 200
    assert head.content == b""
    assert head["ETag"] == get["ETag"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_only_json_is_understood(program: Program, content_type: str) -> None:
    client = program(factories.owner(), scope="write")

    problem(client.post("/api/v1/acknowledgements", "{}", content_type), 415, "not-json")


@pytest.mark.parametrize("body", ["{", "nonsense", "\xff", "[" * 100_000])
def test_what_is_no_json_is_refused(program: Program, body: str) -> None:
    client = program(factories.owner(), scope="write")

    problem(client.post("/api/v1/acknowledgements", body.encode("latin-1"), "application/json"), 400, "malformed")


@pytest.mark.parametrize("body", ["[]", "null", "3", '"x"', "{}", '{"note": "\\ud800"}'])
def test_json_of_another_shape_is_not_valid(program: Program, body: str) -> None:
    client = program(factories.owner(), scope="write")

    problem(client.post("/api/v1/acknowledgements", body, "application/json"), 422, "invalid")


def test_too_much_is_refused(program: Program, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    client = program(factories.owner(), scope="write")

    problem(
        client.post("/api/v1/acknowledgements", '{"note": "%s"}' % ("x" * 200), "application/json"), 413, "too-large"
    )


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("limit=x", "query.limit"),
        ("status=bad", "query.status"),
        ("q=%00", "query.q"),
        ("label=" + "x" * 321, "query.label"),
        ("cursor=nonsense", "query.cursor"),
        ("cursor=WyJjZWxscyIsMSwxXQ", "query.cursor"),  # of another list
        ("cursor=WyJuYW1lc3BhY2VzIiwxLDFd", "query.cursor"),  # a number for a name
        ("cursor=WyJuYW1lc3BhY2VzIiwxMDAwMDAwMDAwMDAwMDAwMDAwMDAwLCJ4Il0", "query.cursor"),
        ("cursor=WyJuYW1lc3BhY2VzIiwxXQ", "query.cursor"),
        ("staus=critical", "query.staus"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(program: Program, query: str, where: str) -> None:
    told = problem(program(factories.owner()).get(f"{LIST}?{query}"), 422, "invalid")

    assert [one["where"] for one in told["errors"]] == [where]


def test_an_unknown_cluster_is_not_found(program: Program) -> None:
    problem(program(factories.owner()).get(f"{LIST}?cluster=nowhere"), 404, "not-found")


def test_a_database_that_is_down_is_told_as_such(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    client = program(factories.owner())

    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection to server at 10.0.0.7 failed: password=hunter2")

    monkeypatch.setattr(NamespaceQuerySet, "visible_to", down)
    response = client.get(LIST)

    told = problem(response, 503, "unavailable")
    assert "hunter2" not in str(told)
    assert response["Retry-After"] == "5"


# ETags


def test_the_same_answer_is_not_sent_twice(program: Program, cluster: Cluster) -> None:
    client = program(factories.owner())
    first = client.get(LIST)

    again = client.get(LIST, headers={"if-none-match": f'"other", {first["ETag"]}'})

    assert first["ETag"].startswith('W/"')
    assert first["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {word.strip() for word in first["Vary"].split(",")}
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]

    cluster.namespaces.update(status="ok")
    assert client.get(LIST, headers={"if-none-match": first["ETag"]}).status_code == 200


def test_what_becomes_stale_is_another_answer_though_no_row_changed(program: Program) -> None:
    client = program(factories.owner())
    first = client.get(LIST)

    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        later = client.get(LIST, headers={"if-none-match": first["ETag"]})

    assert later.status_code == 200
    assert later.json()["items"][0]["status"] == "unknown"


# Limits


def test_a_key_that_asks_too_often_is_told_when_to_come_back(program: Program, settings: Settings) -> None:
    settings.API_RATE = 2
    client, other = program(factories.owner()), program(factories.owner("other"))
    with time_machine.travel("2026-11-21T12:00:20Z", tick=False):
        allowed = [client.get("/api/v1/clusters") for _ in range(2)]
        refused = client.get("/api/v1/clusters")

        assert [one.status_code for one in allowed] == [200, 200]
        assert allowed[0]["RateLimit-Policy"] == '"minute";q=2;w=60'
        assert [one["RateLimit"] for one in allowed] == ['"minute";r=1;t=40', '"minute";r=0;t=40']
        problem(refused, 429, "too-many-requests")
        assert refused["Retry-After"] == "40"
        assert other.get("/api/v1/clusters").status_code == 200
    with time_machine.travel("2026-11-21T12:01:00Z", tick=False):
        assert client.get("/api/v1/clusters").status_code == 200


def test_wrong_keys_from_one_address_are_slowed_down_and_good_ones_are_not(program: Program) -> None:
    good = program(factories.owner())
    with time_machine.travel(timezone.now(), tick=False):
        statuses = [bearer("cbk_wrong").get(LIST).status_code for _ in range(throttling.MOST_FAILURES + 1)]

        assert statuses == [401] * throttling.MOST_FAILURES + [429]
        assert good.get(LIST).status_code == 200


def test_calls_are_counted_in_redis_for_all_processes_together(valkey: ValkeyServer, settings: Settings) -> None:
    shared = {**django_settings.CACHES["shared"], **real(valkey.url)}
    settings.CACHES = {**django_settings.CACHES, "shared": shared}
    caches["shared"].clear()

    left = [throttling.Counter().spend("key:1", limit=2, now=60.0).remaining for _ in range(2)]

    assert left == [1, 0]
    assert throttling.Counter().spend("key:1", limit=2, now=60.0).is_spent


def real(url: str) -> dict[str, Any]:
    from dashboard import settings as product

    return {**product.CACHES["shared"], "LOCATION": [url]}


def test_without_redis_each_process_counts_alone(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = real("redis://:hunter2@127.0.0.1:1/0")
    settings.CACHES = {**django_settings.CACHES, "shared": nowhere}
    counter = throttling.Counter()

    left = [counter.spend("key:1", limit=2, now=60.0) for _ in range(3)]

    assert [one.is_spent for one in left] == [False, False, True]
    assert len([record for record in caplog.records if "Redis" in record.message]) == 1
    assert "hunter2" not in caplog.text
