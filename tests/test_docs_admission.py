"""docs/rbac/creator-policy.yaml on a real API server: what it leaves to the identity that writes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from scanner.cluster import Cluster as Api
from scanner.cluster import ClusterError
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer

RBAC: Final = Path(__file__).parent.parent / "docs" / "rbac"
WEB: Final = "system:serviceaccount:credboard:credboard-web"
GROUP: Final = "rbac.authorization.k8s.io"
PULL: Final = ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": b'{"auths":{}}'})
MADE_BY_US: Final = {"app.kubernetes.io/managed-by": "credboard"}


@pytest.fixture(scope="module", name="web")
def _web(apiserver: KubeApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, str]]:
    """Connected as the web's ServiceAccount of the page, with the rights of creator.yaml and the policy in force; and a
    Namespace to work in."""
    namespace = apiserver.create_namespace()
    user, binding = apiserver.create_namespace(), f"web-{namespace}"
    apiserver.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": user}}])
    name = f"system:serviceaccount:{user}:web"
    role = {**yaml.safe_load((RBAC / "creator.yaml").read_text("utf-8")), "metadata": {"name": binding}}
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": user}
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": binding}
    bound = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": binding}}
    apiserver.apply([role, {**bound, "roleRef": reference, "subjects": [subject]}])
    apiserver.apply(policy(name))
    path = f"/api/v1/namespaces/{user}/serviceaccounts/web/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    config = json.loads(apiserver.kubeconfig(tmp_path_factory.mktemp("web") / "admin").read_text("utf-8"))
    config["users"][0]["user"] = {"token": apiserver.must("POST", path, request)["status"]["token"]}
    kubeconfig = tmp_path_factory.mktemp("web") / "kubeconfig"
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    with Api.from_kubeconfig(str(kubeconfig)) as api:
        _wait_until_in_force(api, namespace)
        yield api, namespace
    for document in policy(name):
        kind = (
            "validatingadmissionpolicies" if "Binding" not in document["kind"] else "validatingadmissionpolicybindings"
        )
        apiserver.must("DELETE", f"/apis/{document['apiVersion']}/{kind}/{document['metadata']['name']}")


def policy(user: str) -> list[dict[str, Any]]:
    """The file, for this user name in place of the one in it."""
    text = (RBAC / "creator-policy.yaml").read_text(encoding="utf-8")
    assert text.count(WEB) == 1
    return list(yaml.safe_load_all(text.replace(WEB, user)))


def _wait_until_in_force(api: Api, namespace: str) -> None:
    """The API server reads policies a moment after they are made."""
    deadline = time.monotonic() + 60
    while True:
        try:
            api.create_secret(namespace, "probe", "Opaque", {"a": b"b"}, dry_run=True)
        except ClusterError as error:
            if "Credboard creates" in str(error):
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_credboard_does_goes_on(web: tuple[Api, str]) -> None:
    api, namespace = web

    uid = api.create_secret(namespace, "made", *PULL, MADE_BY_US)
    assert api.link_pull_secret(namespace, "default", "made")
    assert api.unlink_pull_secret(namespace, "default", "made")
    api.delete_secret(namespace, "made", uid)


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("join", "bootstrap.kubernetes.io/token", {"token-id": b"abcdef", "token-secret": b"0" * 16}),
        ("anything", "Opaque", {"password": b"x"}),
    ],
)
def test_other_kinds_of_secret_are_refused(web: tuple[Api, str], name: str, kind: str, data: dict[str, bytes]) -> None:
    api, namespace = web

    with pytest.raises(ClusterError, match="Credboard creates pull Secrets and TLS Secrets only"):
        api.create_secret(namespace, name, kind, data, MADE_BY_US)


def test_a_secret_of_somebody_else_cannot_be_deleted(web: tuple[Api, str], apiserver: KubeApiServer) -> None:
    api, namespace = web
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs", "namespace": namespace}}
    uid = apiserver.apply([theirs])[0]["metadata"]["uid"]

    with pytest.raises(ClusterError, match="deletes only Secrets that it made"):
        api.delete_secret(namespace, "theirs", uid)


def test_a_service_account_gets_no_role_of_a_cloud(
    web: tuple[Api, str], apiserver: KubeApiServer, tmp_path: Path
) -> None:
    _, namespace = web
    kubectl = binaries.find("kubectl")
    if kubectl is None:
        parts.missing("kubectl", "run `make binaries`")
    role = "eks.amazonaws.com/role-arn=arn:aws:iam::111122223333:role/admin"
    words = [
        "annotate",
        "serviceaccount",
        "default",
        role,
        "--namespace",
        namespace,
        "--as",
        web_user(apiserver, namespace),
    ]

    config = str(apiserver.kubeconfig(tmp_path / "admin"))
    done = subprocess.run(
        [kubectl, "--kubeconfig", config, *words],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path)},
    )

    assert done.returncode == 1
    assert "changes nothing of a ServiceAccount but its imagePullSecrets" in done.stderr


def web_user(apiserver: KubeApiServer, namespace: str) -> str:
    """The user name of the binding that `web` made."""
    found = apiserver.must("GET", f"/apis/{GROUP}/v1/clusterrolebindings/web-{namespace}")["subjects"][0]
    return f"system:serviceaccount:{found['namespace']}:{found['name']}"
