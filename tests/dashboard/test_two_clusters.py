"""Two clusters at once, whose Namespaces have the same names: scans, pages, the API and reports keep them apart."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from dashboard.demo.server import DemoCluster
from scanner.models import Cell, Cluster, Finding, Namespace
from scanner.scan import scan_cluster
from tests import factories

pytestmark = pytest.mark.django_db

CREDENTIAL = "registry/quay.io"


def objects(*, secret: bool, owner: str) -> list[dict[str, Any]]:
    """A Namespace of `owner` whose Pod waits for its image; with `secret` it has what it needs."""
    config = {"auths": {"quay.io": {"auth": base64.b64encode(b"team+robot:password").decode()}}}
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "failed to authorize: 401 Unauthorized"}}
    state = {"running": {}} if secret else waiting
    made: list[dict[str, Any]] = [
        {
            "kind": "Namespace",
            "metadata": {"name": "team-vision", "annotations": {"credboard.dev/owner": owner}},
        },
        {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "team-vision"}},
        {
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "team-vision"},
            "spec": {
                "imagePullSecrets": [{"name": "regcred"}],
                "containers": [{"name": "main", "image": "quay.io/team/app:1"}],
            },
            "status": {
                "phase": "Running" if secret else "Pending",
                "containerStatuses": [{"name": "main", "state": state}],
            },
        },
    ]
    if secret:
        data = {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}
        made.append(
            {
                "kind": "Secret",
                "metadata": {"name": "regcred", "namespace": "team-vision"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": data,
            }
        )
    return [{"apiVersion": "v1", **one} for one in made]


@pytest.fixture(autouse=True)
def _both(tmp_path: Path) -> Iterator[None]:
    """`blue`, where grace is the owner and all is well, and `red`, where ada is and the Secret is missing."""
    with ExitStack() as stack:
        for name, secret, owner in (("blue", True, "grace"), ("red", False, "ada")):
            demo = stack.enter_context(DemoCluster(objects=objects(secret=secret, owner=owner), kubelet=False))
            path = demo.kubeconfig(tmp_path / name)
            done = scan_cluster(factories.cluster(name, kubeconfig=str(path), include=["team-*"]))
            assert done is not None
            assert done.state == "done", done.error
        yield


@pytest.fixture(name="operator")
def _operator() -> Client:
    client = Client()
    client.force_login(factories.operator("operator"))
    return client


def body(client: Client, name: str, *args: str, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_each_scan_stores_what_its_own_cluster_has() -> None:
    statuses = Cell.objects.filter(credential__slug=CREDENTIAL).values_list("namespace__cluster__name", "status")
    assert dict(statuses) == {"blue": "ok", "red": "critical"}
    assert set(Finding.objects.filter(code="PS01").values_list("namespace__cluster__name", flat=True)) == {"red"}


@pytest.mark.parametrize("page", ["matrix", "findings", "expiry"])
def test_a_page_shows_one_cluster_and_leads_to_the_other(operator: Client, page: str) -> None:
    for name, other in (("blue", "red"), ("red", "blue")):
        shown = body(operator, page, cluster=name)
        assert f"/n/{other}/" not in shown
        assert f"cluster={other}" in shown


def test_the_page_of_a_namespace_is_that_of_its_cluster(operator: Client) -> None:
    assert "regcred" in body(operator, "namespace", "red", "team-vision")
    assert Namespace.objects.count() == 2
    assert "is-critical" not in body(operator, "namespace", "blue", "team-vision").partition("<main")[2]


def test_an_owner_in_one_cluster_sees_nothing_of_the_same_name_in_the_other() -> None:
    client = Client()
    client.force_login(factories.owner("grace"))
    assert client.get(reverse("namespace", args=["blue", "team-vision"])).status_code == 200
    assert client.get(reverse("namespace", args=["red", "team-vision"])).status_code == 404
    assert client.get(reverse("matrix"), {"cluster": "red"}).status_code == 404


def test_the_api_names_the_cluster_and_asks_for_one(operator: Client) -> None:
    both = json.loads(body(operator, "api-cells"))["items"]
    assert {(cell["cluster"], cell["status"]) for cell in both if cell["credential"] == CREDENTIAL} == {
        ("blue", "ok"),
        ("red", "critical"),
    }
    one = json.loads(body(operator, "api-cells", cluster="blue"))["items"]
    assert {cell["cluster"] for cell in one} == {"blue"}
    assert {one["name"] for one in json.loads(body(operator, "api-clusters"))["items"]} == {"blue", "red"}


def test_a_report_tells_in_which_cluster(operator: Client) -> None:
    shown = body(operator, "report-preview-html")
    assert "/n/red/team-vision/" in shown
    assert "blue" in shown


def test_the_report_of_an_owner_is_about_their_cluster_alone() -> None:
    client = Client()
    client.force_login(factories.owner("ada"))
    shown = body(client, "report-preview-html")
    assert "/n/red/team-vision/" in shown
    assert "/n/blue/" not in shown


def test_one_cluster_that_fails_leaves_the_other_as_it_is(operator: Client, settings: Settings) -> None:
    before = body(operator, "api-cells", cluster="blue")
    red = Cluster.objects.get(name="red")
    red.kubeconfig = "/no/such/kubeconfig"
    red.save()
    failed = scan_cluster(red)
    assert failed is not None
    assert failed.state == "failed"
    assert "The last scan failed" in body(operator, "matrix", cluster="red")
    assert "The last scan failed" not in body(operator, "matrix", cluster="blue")
    after = body(operator, "api-cells", cluster="blue")
    assert json.loads(after)["items"] == json.loads(before)["items"]


def test_removing_one_leaves_the_other(operator: Client) -> None:
    red = Cluster.objects.get(name="red")
    assert operator.post(reverse("cluster-remove", args=[red.pk]), {"name": "red"}).status_code == 302
    assert list(Namespace.objects.values_list("cluster__name", flat=True)) == ["blue"]
    assert timezone.now() > Namespace.objects.get().scanned_at
