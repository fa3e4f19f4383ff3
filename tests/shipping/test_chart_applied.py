"""The chart on a real API server: every object of every combination, Pod Security, and the life of a release."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.apiserver import KubeApiServer
from tests.shipping import chart, crds
from tests.shipping.chart import EXTERNAL, KUBEFLOW, MATRIX, TRIAL, Json, Values
from tests.shipping.chart_readme import CHART

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module", name="server")
def _server(apiserver: KubeApiServer) -> Iterator[KubeApiServer]:
    """With the kinds of others that the chart may make."""
    made = [one for one in crds.definitions() if apiserver.request("GET", f"{CRDS}/{name_of(one)}")[0] == 404]
    apiserver.apply(made)
    yield apiserver
    for one in made:
        apiserver.request("DELETE", f"{CRDS}/{name_of(one)}")


@pytest.fixture(scope="module", name="namespace")
def _namespace(server: KubeApiServer) -> str:
    return server.create_namespace()


def name_of(document: Json) -> str:
    return str(document["metadata"]["name"])


def dry_run(server: KubeApiServer, document: Json) -> tuple[int, Json]:
    """What the API server says of it when it is applied, with unknown fields refused and nothing kept."""
    return applied(server, document, "&dryRun=All")


def applied(server: KubeApiServer, document: Json, options: str = "") -> tuple[int, Json]:
    path = f"{path_of(server, document)}?fieldManager=helm&fieldValidation=Strict&force=true{options}"
    return server.request("PATCH", path, document, content_type="application/apply-patch+yaml")


def path_of(server: KubeApiServer, document: Json) -> str:
    kind = server._kind(document["apiVersion"], document["kind"])
    return f"{kind.collection(document['metadata'].get('namespace', ''))}/{urllib.parse.quote(name_of(document))}"


@pytest.mark.parametrize("name", MATRIX)
def test_the_api_server_takes_every_object(server: KubeApiServer, namespace: str, name: str) -> None:
    for document in chart.render(MATRIX[name], namespace=namespace):
        status, answer = dry_run(server, document)
        assert status in {200, 201}, f"{document['kind']} {name_of(document)}: {answer}"


def test_a_field_that_does_not_exist_would_be_noticed(server: KubeApiServer, namespace: str) -> None:
    documents = chart.render(MATRIX["everything"], namespace=namespace)
    for document in documents:
        if "spec" in document:
            status, answer = dry_run(server, {**document, "spec": {**document["spec"], "replica": 1}})
            assert status >= 400, f"{document['kind']}: {answer}"


#: What people go to from a trial, and from one of these to another.
CHANGES = [
    "external", "no admission policy", "namespaces, external", "impersonation", "read only", "openshift", "everything",
    "large", "kubeflow", "trial",
]  # fmt: skip


def test_any_values_can_follow_any_others(server: KubeApiServer) -> None:
    namespace = server.create_namespace()
    of_cluster: set[str] = set()
    for name in CHANGES:
        for document in chart.render(MATRIX[name], namespace=namespace):
            is_hook = "helm.sh/hook" in document["metadata"].get("annotations", {})
            if not is_hook:
                status, answer = applied(server, document)
                assert status in {200, 201}, f"{name}: {document['kind']} {name_of(document)}: {answer}"
                if chart.is_of_cluster(document):
                    of_cluster.add(path_of(server, document))
    for path in of_cluster:
        server.request("DELETE", path)


def test_of_the_bundled_database_the_volume_alone_cannot_follow(server: KubeApiServer) -> None:
    namespace = server.create_namespace()
    database = chart.named(chart.render(TRIAL, namespace=namespace), "StatefulSet")
    applied(server, database)
    for name in ("no volume", "volume of a class"):
        status, answer = dry_run(server, chart.named(chart.render(MATRIX[name], namespace=namespace), "StatefulSet"))
        assert status == 422, name
        assert "volumeClaimTemplates" in answer["message"]


@pytest.fixture(scope="module", name="restricted")
def _restricted(server: KubeApiServer) -> str:
    return server.create_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})


def as_pod(template: Json, namespace: str) -> Json:
    # The ServiceAccounts of the release are not there: which one it is makes no difference to Pod Security.
    spec = {**template["spec"], "serviceAccountName": "default"}
    claims = {"volumes": [*spec.get("volumes", []), {"name": "postgresql", "emptyDir": {}}]}
    mounts = [m["name"] for one in spec["containers"] for m in one.get("volumeMounts", ())]
    known = {volume["name"] for volume in spec.get("volumes", ())}
    needs_claim = "postgresql" in mounts and "postgresql" not in known
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": namespace, "labels": template["metadata"].get("labels", {})},
        "spec": {**spec, **(claims if needs_claim else {})},
    }


@pytest.mark.parametrize("name", ["trial", "external", "no volume", "openshift", "everything"])
def test_every_pod_is_let_into_a_restricted_namespace(server: KubeApiServer, restricted: str, name: str) -> None:
    pods = chart.pod_templates(chart.render(MATRIX[name], namespace=restricted))
    assert len(pods) >= 5
    for one, template in pods.items():
        path = f"/api/v1/namespaces/{restricted}/pods?dryRun=All&fieldValidation=Strict"
        status, answer = server.request("POST", path, as_pod(template, restricted))
        assert status == 201, f"{one}: {answer}"


def test_a_restricted_namespace_refuses_a_pod_that_is_not(server: KubeApiServer, restricted: str) -> None:
    for template in chart.pod_templates(chart.render(TRIAL, namespace=restricted)).values():
        template["spec"]["securityContext"]["runAsNonRoot"] = False
        path = f"/api/v1/namespaces/{restricted}/pods?dryRun=All"
        status, answer = server.request("POST", path, as_pod(template, restricted))
        assert status == 403, answer
        assert "PodSecurity" in answer["message"]


# -- the life of a release ---------------------------------------------------------------------------------------------


class Helm:
    """`helm` as an administrator, in a Namespace of its own, with a trial: its one hook waits for no Pod."""

    def __init__(self, server: KubeApiServer, folder: Path) -> None:
        self.server = server
        self.namespace = server.create_namespace()
        self._kubeconfig = server.kubeconfig(folder / "kubeconfig")
        self.keys = f"/api/v1/namespaces/{self.namespace}/secrets/credboard-keys"

    def __call__(self, *arguments: str, values: Values | None = None) -> str:
        done = chart.run(*arguments, "--namespace", self.namespace, "--kubeconfig", self._kubeconfig, values=values)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *, values: Values = TRIAL) -> str:
        return self("upgrade", "--install", "credboard", str(CHART), values=values)

    def get(self, path: str) -> Any:
        return self.server.must("GET", f"/api/v1/namespaces/{self.namespace}/{path}")

    def secret(self, end: str) -> dict[str, str]:
        data: dict[str, str] = self.get(f"secrets/credboard-{end}")["data"]
        return data


@pytest.fixture(name="helm")
def _helm(server: KubeApiServer, tmp_path: Path) -> Iterator[Helm]:
    helm = Helm(server, tmp_path)
    yield helm
    done = chart.run(
        "uninstall",
        "credboard",
        "--ignore-not-found",
        "--namespace",
        helm.namespace,
        "--kubeconfig",
        helm._kubeconfig,
    )
    assert done.returncode == 0, done.stderr


def test_an_upgrade_changes_no_key_and_no_password(helm: Helm) -> None:
    helm.install()
    before = [helm.secret(end) for end in ("keys", "postgresql", "valkey")]
    helm.install(values={**TRIAL, "web": {"replicas": 3}})
    assert [helm.secret(end) for end in ("keys", "postgresql", "valkey")] == before


def test_going_back_brings_no_former_key_back(helm: Helm) -> None:
    """Or what was encrypted since with a new one could never be read again: it is nowhere else."""
    helm.install()
    changed = {"data": {"encryption-keys": "bmV3"}}
    helm.server.request("PATCH", helm.keys, changed, content_type="application/merge-patch+json")
    helm.install(values={**TRIAL, "web": {"replicas": 3}})
    helm("rollback", "credboard", "1")
    assert helm.secret("keys")["encryption-keys"] == "bmV3"


def test_an_upgrade_of_nothing_starts_no_pod_again(helm: Helm) -> None:
    def generations() -> dict[str, int]:
        found = helm.server.must("GET", f"/apis/apps/v1/namespaces/{helm.namespace}/deployments")["items"]
        return {name_of(one): one["metadata"]["generation"] for one in found}

    helm.install()
    before = generations()
    helm.install()
    assert generations() == before
    assert set(before.values()) == {1}


def test_a_release_that_is_installed_again_finds_its_keys_and_the_password_of_its_database(helm: Helm) -> None:
    helm.install()
    before = [helm.secret(end) for end in ("keys", "postgresql")]
    helm("uninstall", "credboard")
    left = [name_of(one) for one in helm.get("secrets")["items"]]
    assert sorted(left) == ["credboard-keys", "credboard-postgresql"]
    helm.install()
    assert [helm.secret(end) for end in ("keys", "postgresql")] == before


def test_nothing_is_left_in_the_cluster_by_a_release_that_is_gone(helm: Helm) -> None:
    def roles() -> list[str]:
        kinds = [f"rbac.authorization.k8s.io/v1/{kind}" for kind in ("clusterroles", "clusterrolebindings")]
        admission = "admissionregistration.k8s.io/v1/validatingadmissionpolic"
        kinds += [f"{admission}ies", f"{admission}ybindings"]
        found = [one for kind in kinds for one in helm.server.must("GET", f"/apis/{kind}")["items"]]
        return [name_of(one) for one in found if helm.namespace in name_of(one)]

    helm.install()
    assert len(roles()) == 6
    helm("uninstall", "credboard")
    assert roles() == []


def test_an_upgrade_stops_where_a_key_is_lost_and_says_which(helm: Helm) -> None:
    helm.install()
    patch = {"data": {"encryption-keys": None}}
    helm.server.request("PATCH", helm.keys, patch, content_type="application/merge-patch+json")
    with pytest.raises(AssertionError, match="the Secret credboard-keys has no encryption-keys: put the former one"):
        helm.install(values={**TRIAL, "web": {"replicas": 3}})


def test_the_rights_follow_the_mode_of_an_upgrade(helm: Helm) -> None:
    def bound() -> set[str]:
        found = helm.server.must("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")["items"]
        return {name_of(one).rpartition("-")[2] for one in found if helm.namespace in name_of(one)}

    helm.install()
    assert bound() == {"web", "worker"}
    helm.install(values={**TRIAL, "rbac": {"mode": "readOnly"}})
    assert bound() == {"worker"}
    helm.install(values={**TRIAL, "rbac": {"mode": "namespaces", "namespaces": [helm.namespace]}})
    assert bound() == {"web"}


@pytest.mark.parametrize(
    ("values", "there", "absent"),
    [
        (TRIAL, ["--container migrate", "service/credboard 8000:80", "no backup"], ["menuLinks"]),
        (
            KUBEFLOW,
            ["https://kubeflow.example.com/credboard/", "job/credboard-migrate", '"link": "/credboard/"'],
            ["port-forward", "no backup"],
        ),
        ({**EXTERNAL, "rbac": {"mode": "readOnly"}}, ["creates nothing in it"], []),
        (
            {**TRIAL, "rbac": {"mode": "namespaces", "namespaces": ["default"]}},
            ["It scans default."],
            [],
        ),
    ],
)
def test_the_notes_say_how_to_sign_in_and_where(
    helm: Helm, values: Values, there: list[str], absent: list[str]
) -> None:
    told = helm("install", "credboard", str(CHART), "--dry-run=server", values=values)
    notes = told.partition("NOTES:")[2]
    assert "one-time" in notes
    for words in there:
        assert words in notes
    for words in absent:
        assert words not in notes
