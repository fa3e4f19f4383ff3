from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import kubernetes.client
import kubernetes.config
import pytest
import urllib3

from dashboard.demo.server import DemoCluster, PortTaken
from tests.dashboard.demo.client import JSON_PATCH, MERGE, STRATEGIC, Client, namespace, secret

SECRETS = "/api/v1/namespaces/shop/secrets"


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[DemoCluster]:
    objects = [namespace(name) for name in ("aa", "aa-b", "shop")]
    with DemoCluster(objects=objects, kubelet=False) as cluster:
        yield cluster


@pytest.fixture(name="client")
def _client(cluster: DemoCluster) -> Client:
    return Client(cluster)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_request_without_a_token_is_unauthorized(cluster: DemoCluster) -> None:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", f"{cluster.url}/api/v1/pods")
    assert response.status == 401
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def test_health_needs_no_token(cluster: DemoCluster) -> None:
    with urllib3.PoolManager() as pool:
        assert [pool.request("GET", f"{cluster.url}/{name}").data for name in ("readyz", "healthz")] == [b"ok", b"ok"]


def test_discovery_names_every_resource_and_its_version(client: Client) -> None:
    assert client.get("/version")[1]["gitVersion"].startswith("v1.37")
    core = client.get("/api/v1")[1]["resources"]
    assert {"namespaces", "secrets", "serviceaccounts", "pods", "pods/status", "events"} <= {
        row["name"] for row in core
    }
    groups = {group["name"] for group in client.get("/apis")[1]["groups"]}
    assert {"rbac.authorization.k8s.io", "authorization.k8s.io", "kubeflow.org"} <= groups
    assert client.get("/apis/kubeflow.org/v1")[1]["resources"][0]["namespaced"] is False


def test_the_official_client_gets_along_with_it(cluster: DemoCluster, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "config")
    assert path.stat().st_mode & 0o077 == 0
    with kubernetes.config.new_client_from_config(str(path), context="demo") as api_client:
        core = kubernetes.client.CoreV1Api(api_client)
        meta = kubernetes.client.V1ObjectMeta(name="s")
        core.create_namespaced_secret("shop", kubernetes.client.V1Secret(metadata=meta, string_data={"a": "b"}))
        assert core.read_namespaced_secret("s", "shop").data == {"a": encoded("b")}
        assert core.list_namespace().items[0].metadata.name == "aa"


def test_a_taken_port_is_said_plainly(cluster: DemoCluster) -> None:
    port = int(cluster.url.rpartition(":")[2])
    with pytest.raises(PortTaken, match=f"Port {port} on 127.0.0.1 is taken"):
        DemoCluster(objects=[], port=port).start()


def test_lists_are_in_the_order_of_namespace_slash_name(client: Client) -> None:
    for place in ("aa", "aa-b", "shop"):
        assert client.post(f"/api/v1/namespaces/{place}/secrets", secret("s", place))[0] == 201
    items = client.get("/api/v1/secrets")[1]["items"]
    assert [item["metadata"]["namespace"] for item in items] == ["aa-b", "aa", "shop"]


def test_pages_show_the_state_at_the_first_page(client: Client) -> None:
    for number in range(5):
        client.post(SECRETS, secret(f"s{number}"))
    first = client.get(f"{SECRETS}?limit=2")[1]
    assert first["metadata"]["remainingItemCount"] == 3
    client.send("DELETE", f"{SECRETS}/s3")
    client.post(SECRETS, secret("s2a"))
    second = client.get(f"{SECRETS}?limit=2&continue={first['metadata']['continue']}")[1]
    third = client.get(f"{SECRETS}?limit=2&continue={second['metadata']['continue']}")[1]
    names = [item["metadata"]["name"] for page in (first, second, third) for item in page["items"]]
    assert names == ["s0", "s1", "s2", "s3", "s4"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }
    assert "continue" not in third["metadata"]


def test_a_continue_token_that_is_too_old_is_gone_and_a_garbled_one_is_refused(
    cluster: DemoCluster, client: Client
) -> None:
    for number in range(3):
        client.post(SECRETS, secret(f"s{number}"))
    token = client.get(f"{SECRETS}?limit=1")[1]["metadata"]["continue"]
    cluster.store.forget_snapshots()
    code, body = client.get(f"{SECRETS}?limit=1&continue={token}")
    assert (code, body["reason"]) == (410, "Expired")
    inconsistent = body["metadata"]["continue"]
    assert client.names(f"{SECRETS}?continue={inconsistent}") == ["s1", "s2"]
    code, body = client.get(f"{SECRETS}?continue=garbage")
    assert (code, body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("fieldSelector=type!%3Dhelm.sh/release.v1", ["a", "b"]),
        ("fieldSelector=type%3Dhelm.sh/release.v1", ["c"]),
        ("fieldSelector=metadata.name%3Da", ["a"]),
        ("labelSelector=tier%3Dgold", ["a"]),
        ("labelSelector=tier!%3Dgold", ["b", "c"]),
        ("labelSelector=tier+in+(gold,silver)", ["a", "b"]),
        ("labelSelector=tier+notin+(gold)", ["b", "c"]),
        ("labelSelector=!tier", ["c"]),
        ("labelSelector=tier,tier!%3Dgold", ["b"]),
    ],
)
def test_selectors_choose(client: Client, query: str, names: list[str]) -> None:
    for name, labels in (("a", {"tier": "gold"}), ("b", {"tier": "silver"}), ("c", {})):
        kind = "helm.sh/release.v1" if name == "c" else "Opaque"
        client.post(SECRETS, {"metadata": {"name": name, "labels": labels}, "type": kind})
    assert client.names(f"{SECRETS}?{query}") == names


def test_an_unknown_field_label_is_refused_as_a_real_server_refuses_it(client: Client) -> None:
    code, body = client.get(f"{SECRETS}?fieldSelector=foo%3Dbar")
    assert (code, body["message"]) == (400, "field label not supported: foo")
    body = client.get("/api/v1/configmaps?fieldSelector=foo%3Dbar")[1]
    assert body["message"] == '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"'


def test_a_dry_run_validates_and_stores_nothing(client: Client) -> None:
    code, body = client.post(f"{SECRETS}?dryRun=All", secret("s", stringData={"a": "b"}))
    assert (code, body["data"]) == (201, {"a": encoded("b")})
    assert client.names(SECRETS) == []
    code, body = client.post(f"{SECRETS}?dryRun=All", secret("s", type="kubernetes.io/tls"))
    assert [cause["field"] for cause in body["details"]["causes"]] == ["data[tls.crt]", "data[tls.key]"]


def test_conflicts_say_what_they_are(client: Client) -> None:
    stored = client.post(SECRETS, secret("s"))[1]
    code, body = client.post(SECRETS, secret("s"))
    assert (code, body["reason"], body["message"]) == (409, "AlreadyExists", 'secrets "s" already exists')
    stored["metadata"]["resourceVersion"] = "1"
    code, body = client.send("PUT", f"{SECRETS}/s", stored)
    assert (code, body["reason"]) == (409, "Conflict")
    assert "please apply your changes to the latest version and try again" in body["message"]
    code, body = client.send("DELETE", f"{SECRETS}/s", {"preconditions": {"uid": "another"}})
    assert (code, body["reason"]) == (409, "Conflict")


def test_a_missing_namespace_is_named(client: Client) -> None:
    code, body = client.post("/api/v1/namespaces/nope/secrets", secret("s", "nope"))
    assert (code, body["message"]) == (404, 'namespaces "nope" not found')


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("kubernetes.io/dockerconfigjson", {}, "data[.dockerconfigjson]: Required value"),
        ("kubernetes.io/dockercfg", {".dockercfg": "[]"}, "cannot unmarshal array into Go value"),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": ""}, "unexpected end of JSON input"),
        ("kubernetes.io/basic-auth", {}, "[data[username]: Required value, data[password]: Required value]"),
        ("kubernetes.io/ssh-auth", {}, "data[ssh-privatekey]: Required value"),
        (
            "kubernetes.io/service-account-token",
            {},
            "metadata.annotations[kubernetes.io/service-account.name]: Required",
        ),
        ("Opaque", {"..": ""}, "must not be '..'"),
        ("Opaque", {"a": "x" * (1024 * 1024 + 1)}, "data: Too long: may not be more than 1048576 bytes"),
    ],
)
def test_a_secret_that_its_type_does_not_allow_is_invalid(
    client: Client, kind: str, data: dict[str, str], message: str
) -> None:
    code, body = client.post(SECRETS, secret("s", type=kind, stringData=data))
    assert (code, body["reason"]) == (422, "Invalid")
    assert message in body["message"]


def test_type_and_immutable_data_cannot_change(client: Client) -> None:
    client.post(SECRETS, secret("s", immutable=True, stringData={"a": "b"}))
    code, body = client.send("PATCH", f"{SECRETS}/s", {"type": "x"}, media_type=MERGE)
    assert (code, body["details"]["causes"][0]["message"]) == (422, 'Invalid value: "x": field is immutable')
    code, body = client.send("PATCH", f"{SECRETS}/s", {"stringData": {"a": "c"}}, media_type=MERGE)
    assert (code, body["details"]["causes"][0]["field"]) == (422, "data")
    assert client.send("PATCH", f"{SECRETS}/s", {"metadata": {"labels": {"k": "v"}}}, media_type=MERGE)[0] == 200


def test_all_three_patch_formats_work_on_a_service_account(client: Client) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/default"
    links = client.send(
        "PATCH", path, {"imagePullSecrets": [{"name": "a"}], "secrets": [{"name": "x"}]}, media_type=MERGE
    )[1]
    assert links["imagePullSecrets"] == [{"name": "a"}]
    patch = {"imagePullSecrets": [{"name": "b"}], "secrets": [{"name": "y"}]}
    links = client.send("PATCH", path, patch, media_type=STRATEGIC)[1]
    # A real server replaces the first list and merges the second.
    assert (links["imagePullSecrets"], links["secrets"]) == ([{"name": "b"}], [{"name": "y"}, {"name": "x"}])
    added = [{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "c"}}]
    assert client.send("PATCH", path, added, media_type=JSON_PATCH)[1]["imagePullSecrets"] == [
        {"name": "b"},
        {"name": "c"},
    ]
    failing = [{"op": "test", "path": "/imagePullSecrets/0/name", "value": "z"}]
    assert client.send("PATCH", path, failing, media_type=JSON_PATCH)[0] == 422
    assert client.send("PATCH", path, {}, media_type="application/apply-patch+yaml")[0] == 415


def test_a_pod_gets_the_pull_secrets_of_its_service_account_only_when_it_names_none(client: Client) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/default"
    client.send("PATCH", path, {"imagePullSecrets": [{"name": "a"}]}, media_type=MERGE)
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    pods = "/api/v1/namespaces/shop/pods"
    plain = client.post(pods, {"metadata": {"generateName": "p-"}, "spec": spec})[1]
    own = client.post(pods, {"metadata": {"name": "own"}, "spec": spec | {"imagePullSecrets": [{"name": "b"}]}})[1]
    assert plain["metadata"]["name"].startswith("p-")
    assert (plain["spec"]["imagePullSecrets"], own["spec"]["imagePullSecrets"]) == ([{"name": "a"}], [{"name": "b"}])
    code, body = client.post(pods, {"metadata": {"name": "x"}, "spec": spec | {"serviceAccountName": "nope"}})
    assert (code, body["reason"]) == (403, "Forbidden")


def test_rbac_decides_for_other_users(cluster: DemoCluster, client: Client) -> None:
    person = Client(cluster, cluster.add_user("ada", ["team"]))
    code, body = person.get("/api/v1/secrets")
    assert code == 403
    assert body["message"] == (
        'secrets is forbidden: User "ada" cannot list resource "secrets" in API group "" at the cluster scope'
    )
    group = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]},
    ]
    client.post(f"{group}/roles", {"metadata": {"name": "r"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    subjects = [{"kind": "Group", "name": "team", "apiGroup": "rbac.authorization.k8s.io"}]
    client.post(f"{group}/rolebindings", {"metadata": {"name": "b"}, "roleRef": reference, "subjects": subjects})
    assert person.get("/api/v1/namespaces/shop/pods")[0] == 200
    assert person.get("/api/v1/namespaces/aa/pods")[0] == 403
    assert person.get(f"{SECRETS}/one")[0] == 404
    assert person.get(f"{SECRETS}/two")[0] == 403
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"verb": "list", "resource": "pods", "namespace": "shop"}
    status = person.post(review, {"spec": {"resourceAttributes": asked}})[1]["status"]
    assert status == {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "b/shop" of Role "r" to Group "team"'}
    asked = {"user": "ada", "groups": ["team"], "resourceAttributes": asked | {"resource": "secrets"}}
    status = client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": asked})[1]["status"]
    assert status == {"allowed": False}


def test_closed_namespaces_hide_their_secrets_from_everybody() -> None:
    with DemoCluster(objects=[namespace("vault"), namespace("open")], closed=["vault"], kubelet=False) as cluster:
        client = Client(cluster)
        paths = (
            "/api/v1/namespaces/vault/secrets",
            "/api/v1/secrets",
            "/api/v1/namespaces/open/secrets",
            "/api/v1/pods",
        )
        assert [client.get(path)[0] for path in paths] == [403, 403, 200, 200]


def test_a_watch_tells_what_changed_as_its_selector_sees_it(cluster: DemoCluster, client: Client) -> None:
    client.post(SECRETS, secret("s"))
    since = client.get(SECRETS)[1]["metadata"]["resourceVersion"]
    client.send("PATCH", f"{SECRETS}/s", {"metadata": {"labels": {"k": "v"}}}, media_type=MERGE)
    client.send("PATCH", f"{SECRETS}/s", {"metadata": {"labels": None}}, media_type=MERGE)
    client.send("DELETE", f"{SECRETS}/s")
    everything = client.get(f"{SECRETS}?watch=true&timeoutSeconds=1&resourceVersion={since}")[1]
    assert _types(everything) == ["MODIFIED", "MODIFIED", "DELETED"]
    labelled = client.get(f"{SECRETS}?watch=true&timeoutSeconds=1&labelSelector=k%3Dv&resourceVersion={since}")[1]
    assert _types(labelled) == ["ADDED", "DELETED"]


def _types(stream: str) -> list[str]:
    return [json.loads(line)["type"] for line in stream.splitlines()]
