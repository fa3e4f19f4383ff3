"""Lists that break, expire, or are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster, ClusterError, Gone, Unavailable, listing
from tests.scanner.cluster_errors.builders import ALL, secrets_of, unavailable


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)


@pytest.mark.usefixtures("small_pages")
def test_an_expired_list_is_read_again_without_what_was_read_already(demo: DemoCluster, cluster: Cluster) -> None:
    fault = demo.faults.expire_continue(path="/secrets", times=2)

    assert secrets_of(cluster) == ALL
    assert fault.hits == 2


def test_an_expired_list_goes_on_with_the_token_of_the_410(demo: DemoCluster, cluster: Cluster) -> None:
    def item(name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "aa"}}

    gone = {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {"continue": "newer"}}
    for path, code, body in (
        ("/secrets.*continue=newer", 200, page(item("s2"))),
        ("/secrets.*continue=older", 410, json.dumps(gone).encode()),
        ("/secrets", 200, page(item("s1"), **{"continue": "older"})),
    ):
        demo.faults.raw(body, code=code, content_type="application/json", path=path)

    assert secrets_of(cluster) == {"aa-b": [], "aa": ["s1", "s2"]}


@pytest.mark.usefixtures("small_pages")
def test_a_list_that_expires_at_every_page_fails(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.expire_continue(path="/secrets", times=None)

    with pytest.raises(Gone):
        secrets_of(cluster)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("code", [403, 500])
def test_a_list_that_breaks_off_halfway_fails(demo: DemoCluster, cluster: Cluster, code: int) -> None:
    demo.faults.respond(code, path="/secrets.*continue=", times=None)

    with pytest.raises(ClusterError):
        secrets_of(cluster)


@pytest.mark.parametrize("resource", ["events", "rolebindings"])
def test_what_a_scan_can_do_without_is_named_when_it_fails(demo: DemoCluster, cluster: Cluster, resource: str) -> None:
    demo.faults.respond(500, path=f"/{resource}", times=None)

    wide, alone = next(cluster.namespaces(include=["aa"])), cluster.namespace("aa")

    assert list(wide.unreadable) == list(alone.unreadable) == [resource]
    assert "500" in wide.unreadable[resource]
    assert len(wide.secrets) == len(alone.secrets) == 5


@pytest.mark.parametrize("served", [False, True])
def test_profiles_that_may_not_be_read_are_only_missed_where_kubeflow_is(
    demo: DemoCluster, cluster: Cluster, served: bool
) -> None:
    demo.faults.respond(
        403, path="/profiles", times=None, message='profiles is forbidden: User "u" cannot list resource "profiles"'
    )
    if not served:
        demo.faults.raw(b"404 page not found\n", code=404, content_type="text/plain", path="/v1$", times=None)

    wide, alone = next(cluster.namespaces(include=["aa"])), cluster.namespace("aa")

    assert wide.unreadable == alone.unreadable == ({"profiles": "forbidden"} if served else {})


def test_without_kubeflow_there_are_no_profiles(demo: DemoCluster, cluster: Cluster) -> None:
    page = b"404 page not found\n"
    demo.faults.raw(page, code=404, content_type="text/plain", path="/profiles", times=None)

    assert next(cluster.namespaces(include=["aa"])).unreadable == {}
    assert cluster.namespace("aa").unreadable == {}


BAD_SECRET = {"metadata": {"name": "odd", "namespace": "aa"}, "data": {"k": 7}}
GOOD_SECRET = {"metadata": {"name": "fine", "namespace": "aa-b"}, "data": {"k": ""}}


def page(*items: Any, kind: str = "SecretList", **metadata: Any) -> bytes:
    return json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}).encode()


def test_an_object_that_cannot_be_decoded_makes_only_its_own_namespace_unreadable(
    demo: DemoCluster, cluster: Cluster
) -> None:
    demo.faults.raw(page(GOOD_SECRET, BAD_SECRET), content_type="application/json", path="/secrets", times=None)

    found = {one.namespace.metadata.name: one for one in cluster.namespaces(include=["aa*"])}

    assert [s.metadata.name for s in found["aa-b"].secrets] == ["fine"]
    assert found["aa-b"].unreadable == {}
    assert found["aa"].secrets == []
    assert found["aa"].unreadable == {"secrets": "the Secret 'odd' is not as the Kubernetes API defines it"}
    assert list(cluster.namespace("aa").unreadable) == ["secrets"]


def test_a_namespace_that_cannot_be_decoded_is_still_read(demo: DemoCluster, cluster: Cluster) -> None:
    bad = {"metadata": {"name": "aa", "labels": 7}}
    answer = page(bad, {"metadata": {"name": "aa-b"}}, kind="NamespaceList")
    demo.faults.raw(answer, content_type="application/json", path="/api/v1/namespaces[?]", times=None)

    found = {one.namespace.metadata.name: one for one in cluster.namespaces()}

    assert list(found) == ["aa-b", "aa"]
    assert len(found["aa"].secrets) == 5
    assert list(found["aa"].unreadable) == ["namespaces"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b"",
        b"\xff\xfe",
        b'{"kind": "SecretList", "metadata": {}, "items": [',
        b'{"kind": "SecretList", "metadata": {}, "items": [{"metadata": 7}]}',
        b'{"kind": "SecretList", "items": []}',
        b'{"kind": "Status", "metadata": {}, "status": "Success"}',
        page(kind="PodList"),
        b'{"kind": "SecretList", "metadata": {}, "items": [' + b'{"x":' * 100_000,
    ],
)
def test_what_is_no_list_is_never_an_empty_one(demo: DemoCluster, cluster: Cluster, body: bytes) -> None:
    demo.faults.raw(body, content_type="application/json", path="/secrets", times=None)

    with pytest.raises(Unavailable) as failure:
        secrets_of(cluster)

    assert failure.value.kind == "body"


def test_a_list_that_is_not_in_order_fails_instead_of_losing_objects(demo: DemoCluster, cluster: Cluster) -> None:
    first = {"metadata": {"name": "s", "namespace": "aa"}}
    demo.faults.raw(page(first, GOOD_SECRET), content_type="application/json", path="/secrets", times=None)

    with pytest.raises(Unavailable, match="not in the order"):
        secrets_of(cluster)


def test_the_sign_in_page_of_a_proxy_is_not_a_kubernetes_api(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"<html>Sign in</html>", path="namespaces", times=None)

    failure = unavailable(cluster)

    assert (failure.kind, "text/html" in str(failure)) == ("body", True)


def test_a_redirect_is_not_followed(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"", code=302, path="namespaces", times=None)

    assert unavailable(cluster).kind == "body"


def test_a_404_that_kubernetes_did_not_send_does_not_make_a_namespace_gone(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"<html>nothing here</html>", code=404, path="namespaces/aa", times=None)

    with pytest.raises(Unavailable):
        cluster.namespace("aa")


def test_half_a_body_is_read_again_and_then_given_up(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.cut(path="/secrets", times=1)
    assert secrets_of(cluster) == ALL

    fault = demo.faults.cut(path="/secrets", times=None)
    with pytest.raises(Unavailable) as failure:
        secrets_of(cluster)

    assert (failure.value.kind, fault.hits) == ("body", 3)
