"""Secret values stay where they belong: known ones are scanned and created, then looked for everywhere else."""

from __future__ import annotations

import base64
import html
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.celery import app as celery_app
from dashboard.demo.server import DemoCluster
from dashboard.mail.server import Sender
from dashboard.models import Mail, Subscription
from dashboard.reports.sending import send_due
from scanner.models import Cluster, Namespace
from scanner.scan import request_cluster_scan, scan_cluster, scan_namespace
from tests import factories
from tests.rig.valkey import ValkeyServer

pytestmark = pytest.mark.django_db

NS = "canary"
TYPED = 'canary-typed-7f3c<&>"\\é'
PASTED = "canary-pasted-2b9d"
STORED = {
    "pull": "canary-pull-51aa",
    "auth": "canary-auth-90ce",
    "token": "canary-token-d1f8",
    "opaque": "canary-opaque-33be",
    "broken": "canary-broken-6a70",
    "key": "canary-key-4e4e",
}


def config(**entry: str) -> str:
    return json.dumps({"auths": {"quay.io": entry}})


def secret(name: str, kind: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": NS},
        "type": kind,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def objects() -> list[dict[str, Any]]:
    docker, key = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"
    auth = base64.b64encode(f"robot:{STORED['auth']}".encode()).decode()
    payload = base64.urlsafe_b64encode(json.dumps({"exp": 1, "sub": "x"}).encode()).decode().rstrip("=")
    back_off = {"waiting": {"reason": "ImagePullBackOff", "message": "failed to authorize: 401 Unauthorized"}}
    return [
        {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NS}},
        secret("pull", docker, {key: config(username="u", password=STORED["pull"])}),
        secret("auth", docker, {key: config(auth=auth)}),
        secret("broken", docker, {key: '{"auths": {"quay.io": {"password": "' + STORED["broken"]}),
        secret("odd", docker, {key: config(auth=STORED["broken"])}),
        secret(
            "opaque",
            "Opaque",
            {"password": STORED["opaque"], "token": f"eyJhbGciOiJub25lIn0.{payload}.{STORED['token']}"},
        ),
        secret("tls", "kubernetes.io/tls", {"tls.crt": STORED["key"], "tls.key": f"-----BEGIN {STORED['key']}"}),
        {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": NS}},
        {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "app", "namespace": NS},
            "spec": {
                "imagePullSecrets": [{"name": name} for name in ("pull", "auth", "broken", "odd", "missing")],
                "containers": [{"name": "main", "image": "quay.io/team/app:1"}],
            },
            "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "state": back_off}]},
        },
    ]


def forms(value: str) -> set[str]:
    """`value` as it might be written: clear, escaped for JSON, HTML and URLs, and inside any base64."""
    clear = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        quote(value),
    }
    written = set(clear)
    for one in clear:
        for offset in range(3):
            # What stands before it shifts the letters; the first and last ones depend on the neighbours.
            encoded = base64.b64encode(b"\0" * offset + one.encode()).decode().rstrip("=")
            written |= {
                encoded[4 if offset else 0 : -2],
                encoded[4 if offset else 0 : -2].replace("+", "-").replace("/", "_"),
            }
    # Without what only looks like an escape, so that a part of the value counts as well.
    return written | {value[:16]}


def assert_clean(text: str, where: str) -> None:
    for value in (TYPED, PASTED, *STORED.values()):
        for written in forms(value):
            assert written not in text, f"a secret value is in {where}"


def dump_database() -> str:
    lines = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            lines += [f"{table} {row!r} {row}" for row in cursor.fetchall()]
    return "\n".join(lines)


def dump_broker(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        lines = []
        for key in client.scan_iter("*"):
            kind = client.type(key)
            values: Any = {
                b"list": lambda k: client.lrange(k, 0, -1),
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"zset": lambda k: client.zrange(k, 0, -1),
                b"string": client.get,
            }[kind](key)
            lines.append(f"{key!r} {values!r}")
            if kind == b"list":
                # Celery puts the arguments of a task in base64 into the message.
                lines += [base64.b64decode(json.loads(message)["body"]).decode() for message in values]
        return "\n".join(lines)


@pytest.fixture
def broker(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    celery_app.pool.force_close_all()
    monkeypatch.setattr(celery_app.conf, "broker_url", valkey.url)
    yield valkey.url
    celery_app.pool.force_close_all()


def test_the_search_finds_what_it_looks_for() -> None:
    for value in (TYPED, *STORED.values()):
        for text in (
            value,
            base64.b64encode(config(username="u", password=value).encode()).decode(),
            base64.b64encode(f"robot:{value}".encode()).decode(),
            f"<input value='{html.escape(value)}'>",
        ):
            with pytest.raises(AssertionError):
                assert_clean(text, "the example")


def test_no_secret_value_leaves_the_request_or_the_scan(
    client: Client,
    broker: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    *,
    settings: Settings,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.MAIL_FROM = Sender(name="Credboard", address="credboard@example.com")
    client.force_login(factories.operator())
    pages = []
    with DemoCluster(objects=objects(), closed=(), kubelet=False) as demo:
        kubeconfig = str(demo.kubeconfig(tmp_path / "kubeconfig"))
        cluster = Cluster.objects.create(name="prod-eu", kubeconfig=kubeconfig)
        scan_cluster(cluster)
        assert request_cluster_scan(cluster)
        namespace = Namespace.objects.get(name=NS)
        assert namespace.cells.exists()
        assert namespace.findings.exists()

        url = reverse("create", args=["prod-eu", NS, "registry/quay.io"])
        login = {"how": "login", "name": "missing", "server": "quay.io", "username": "u", "password": TYPED}
        paste = {"how": "paste", "name": "pasted", "config_json": config(username="u", password=PASTED)}
        refusals = (
            {**login, "name": "Not_A_Name"},
            {**login, "server": "other.example.com"},
            {**login, "name": "pull"},
            {**login, "config_json": PASTED},
            {**paste, "config_json": '{"auths": "' + PASTED},
            {**paste, "service_accounts": ["no-such"]},
        )
        for data in refusals[:3] + refusals[4:]:
            response = client.post(url, data)
            assert response.status_code == 422
            pages.append(response.content.decode())
        demo.faults.respond(500, method="POST", path=r"/secrets\?fieldManager=credboard$", message=f"no {TYPED}")
        pages.append(client.post(url, login).content.decode())
        demo.faults.respond(422, method="POST", path="/secrets", message=f"invalid: {TYPED}")
        pages.append(client.post(url, login).content.decode())
        for data in (login, paste):
            response = client.post(url, {**data, "service_accounts": ["default"]}, headers={"HX-Request": "true"})
            assert response.status_code == 200
            pages.append(response.content.decode())
        scan_namespace(Namespace.objects.get(name=NS))
        demo.stop()
        pages.append(client.post(url, login).content.decode())

    at_cells = [cell.credential.slug for cell in Namespace.objects.get(name=NS).cells.select_related("credential")]
    urls = [reverse("matrix"), reverse("audit"), reverse("namespace", args=["prod-eu", NS])]
    for name in ("cell", "create", "created"):
        urls += [
            reverse(name, args=["prod-eu", NS, slug]) for slug in at_cells if name == "cell" or slug.startswith("reg")
        ]
    for one in urls:
        response = client.get(one)
        assert response.status_code == 200
        pages.append(response.content.decode())

    report = Subscription.by_default("ada@example.com", source="operator", user=User.objects.get())
    report.next_send_at = timezone.now()
    report.save()
    assert send_due([report.pk], now=timezone.now()) == 1
    assert NS in Mail.objects.get().text

    messages = dump_broker(broker)
    assert "dispatch_scans" in messages
    assert_clean(messages, "the broker")
    assert_clean(dump_database(), "the database")
    assert_clean("\n".join(pages), "a page")
    assert_clean(caplog.text, "a log")
    assert_clean("".join(capfd.readouterr()), "the output")
