from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from dashboard.demo.objects import config_json
from dashboard.demo.registries import DEMO_PASSWORD
from dashboard.demo.server import DemoCluster
from dashboard.demo.status import Json
from dashboard.demo.stories import build_stories
from tests.dashboard.demo.client import MERGE, Client

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
USER = "/api/v1/namespaces/kubeflow-user-example-com"
GITLAB = '{"auths":{"gitlab.example.com:4567":{"username":"robot","password":"any"}}}'


@pytest.fixture(name="objects", scope="module")
def _objects() -> list[Json]:
    return build_stories(NOW)


def _pods(objects: list[Json], namespace: str) -> list[Json]:
    return [item for item in objects if item["kind"] == "Pod" and item["metadata"]["namespace"] == namespace]


def _waiting(pod: Json) -> list[tuple[str, str]]:
    rows = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    states = [row["state"]["waiting"] for row in rows if "waiting" in row["state"]]
    return [(state["reason"], state.get("message", "")) for state in states]


def test_the_picture_is_the_same_at_every_start_and_never_ages(objects: list[Json]) -> None:
    assert build_stories(NOW) == objects
    later = build_stories(NOW + timedelta(days=400))
    assert [item["metadata"]["name"] for item in later] == [item["metadata"]["name"] for item in objects]


def test_there_are_about_forty_namespaces_and_no_object_twice(objects: list[Json]) -> None:
    kinds = Counter(item["kind"] for item in objects)
    assert 38 <= kinds["Namespace"] <= 45
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_the_secret_of_story_one_exists_only_in_kubeflow(objects: list[Json]) -> None:
    places = [item["metadata"]["namespace"] for item in objects if item["metadata"]["name"] == "regcred-pipeline"]
    assert places == ["kubeflow"]
    pods = [pod for pod in _pods(objects, "kubeflow-user-example-com") if pod["status"]["phase"] == "Pending"]
    assert len(pods) == 4
    assert pods[0]["spec"]["containers"][0]["image"] == "gitlab.example.com:4567/ml/load-iris:1.4"
    assert pods[0]["metadata"]["name"] == "iris-pipeline-x7k2f-load-iris"
    reason, message = _waiting(pods[0])[0]
    assert reason == "ImagePullBackOff"
    assert "failed to fetch anonymous token" in message
    assert message.endswith("403 Forbidden")


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ("serving-staging", "failed to fetch anonymous token"),
        ("team-vision", "failed to fetch oauth token"),
        ("team-forecast", "insufficient_scope: authorization failed"),
        ("edge-registry-mirror", "i/o timeout"),
        ("team-genomics", "x509: certificate signed by unknown authority"),
        ("team-fraud", "illegal base64 data"),
        ("batch-scoring", 'secret "warehouse-creds-prod" not found'),
        ("batch-scoring", "couldn't find key api-token in Secret batch-scoring/feature-store"),
        ("team-maps", "failed to fetch anonymous token"),
        ("team-recsys", "failed to fetch anonymous token"),
    ],
)
def test_every_trouble_has_the_message_of_a_real_node(objects: list[Json], namespace: str, words: str) -> None:
    assert any(words in message for pod in _pods(objects, namespace) for _, message in _waiting(pod))


def test_a_volume_without_its_secret_shows_only_in_an_event(objects: list[Json]) -> None:
    mounts = [item for item in objects if item["kind"] == "Event" and item["reason"] == "FailedMount"]
    assert [event["message"] for event in mounts] == [
        'MountVolume.SetUp failed for volume "model-signing-key" : secret "model-signing-key" not found'
    ]


def test_public_images_run_without_credentials(objects: list[Json]) -> None:
    pods = _pods(objects, "default")
    assert [(pod["spec"].get("imagePullSecrets"), pod["status"]["phase"]) for pod in pods] == [(None, "Running")]


def test_the_certificates_are_real_and_end_when_the_story_says(objects: list[Json]) -> None:
    days = {}
    for item in objects:
        if item["kind"] == "Secret" and item["type"] == "kubernetes.io/tls":
            certificate = x509.load_pem_x509_certificate(base64.b64decode(item["data"]["tls.crt"]))
            days[item["metadata"]["name"]] = (certificate.not_valid_after_utc - NOW).days
    assert (days["models-tls"], days["kubeflow-gateway-tls"], days["search-tls"]) == (-3, 12, 61)


def test_the_whole_demo_is_there_from_the_start() -> None:
    with DemoCluster(now=NOW) as cluster:
        client = Client(cluster)
        assert len(client.names("/api/v1/pods")) > 150
        assert client.get("/api/v1/secrets")[0] == 403
        assert client.get("/api/v1/namespaces/restricted/secrets")[0] == 403
        assert client.get(f"{USER}/secrets")[0] == 200


def test_creating_the_missing_secret_lets_the_pods_run() -> None:
    with DemoCluster(now=NOW, kubelet=False) as cluster:
        client = Client(cluster)
        cluster.kubelet.tick()
        assert _phase(client, f"{USER}/pods/iris-pipeline-x7k2f-load-iris") == "Pending"
        body = {"metadata": {"name": "regcred-pipeline"}, "type": "kubernetes.io/dockerconfigjson"}
        client.post(f"{USER}/secrets", body | {"stringData": {".dockerconfigjson": GITLAB}})
        cluster.kubelet.tick()
        assert _phase(client, f"{USER}/pods/iris-pipeline-x7k2f-load-iris") == "Running"


def test_a_wrong_password_keeps_the_pods_waiting_with_another_message() -> None:
    with DemoCluster(now=NOW, kubelet=False) as cluster:
        client = Client(cluster)
        cluster.kubelet.tick()
        secrets, pod = "/api/v1/namespaces/serving-staging/secrets", "/api/v1/namespaces/serving-staging/pods"
        for password, phase in (("wrong", "Pending"), (DEMO_PASSWORD, "Running")):
            auths = config_json({"harbor.example.com": ("robot$serving", password)})
            body = {"metadata": {"name": "harbor-credential"}, "type": "kubernetes.io/dockerconfigjson"}
            client.send("DELETE", f"{secrets}/harbor-credential")
            client.post(secrets, body | {"stringData": {".dockerconfigjson": auths}})
            cluster.kubelet.tick()
            found = client.get(f"{pod}/churn-predictor-7c9d6f8b5-jt6xp")[1]
            assert found["status"]["phase"] == phase
            if phase == "Pending":
                assert "failed to fetch oauth token" in _waiting(found)[0][1]


def test_a_deleted_pod_comes_back_with_what_its_service_account_links_now() -> None:
    with DemoCluster(now=NOW, kubelet=False) as cluster:
        client, place = Client(cluster), "/api/v1/namespaces/team-recsys"
        links = {"imagePullSecrets": [{"name": "harbor-credential"}]}
        client.send("PATCH", f"{place}/serviceaccounts/default", links, media_type=MERGE)
        before = [name for name in client.names(f"{place}/pods") if name.startswith("recommender-")]
        client.send("DELETE", f"{place}/pods/{before[0]}")
        cluster.kubelet.tick()
        after = set(client.names(f"{place}/pods")) - set(before)
        assert len(after) == 1
        pod = client.get(f"{place}/pods/{after.pop()}")[1]
        assert pod["metadata"]["name"].startswith("recommender-6c8f7d5b9-")
        assert pod["spec"]["imagePullSecrets"] == [{"name": "harbor-credential"}]
        assert pod["status"]["phase"] == "Running"


def _phase(client: Client, path: str) -> str:
    return str(client.get(path)[1]["status"]["phase"])
