"""`manage.py explain` with the demo cluster and a real API server: three exit statuses, nothing mistaken for fine."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from dashboard.demo.server import DemoCluster
from tests.rig.apiserver import KubeApiServer


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(kubelet=False) as server:
        yield server


def explain(kubeconfig: Path, *arguments: str) -> tuple[int, str]:
    out, status = StringIO(), 0
    try:
        call_command("explain", *arguments, "--kubeconfig", str(kubeconfig), stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, out.getvalue()


def test_what_is_covered_ends_with_0(demo: DemoCluster, tmp_path: Path) -> None:
    path = demo.kubeconfig(tmp_path / "kubeconfig")

    status, text = explain(path, "harbor.example.com/nlp/notebook:2.0.0", "-n", "team-nlp")

    assert status == 0
    assert "1.  Secret harbor-credential  harbor.example.com  user robot$nlp  is used" in text
    assert "Covered by the key harbor.example.com of Secret harbor-credential." in text


def test_what_only_just_misses_ends_with_1_and_the_key_that_was_meant(demo: DemoCluster, tmp_path: Path) -> None:
    path = demo.kubeconfig(tmp_path / "kubeconfig")

    status, text = explain(path, "gitlab.example.com:4567/maps/tile-server:3.3.0", "-n", "team-maps", "--format=json")

    document = json.loads(text)
    assert status == 1
    assert (document["covered"], document["entries"][0]["mismatch"]) == (False, "port")
    broken = next(step for step in document["chain"] if step["state"] == "broken")
    assert (broken["step"], broken["title"]) == ("key", "gitlab.example.com should read gitlab.example.com:4567")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nginx", "-n", "nowhere"), "nowhere"),
        (("nginx", "-n", "team-maps", "--pod", "gone"), "no Pod gone"),
        (("nginx", "-n", "team-maps", "--service-account", "gone"), "no ServiceAccount gone"),
        (("nginx", "-n", "restricted"), "secrets of the Namespace restricted could not be read"),
        (("None:None", "-n", "team-maps"), "no image reference"),
    ],
)
def test_what_could_not_be_looked_at_ends_with_2(
    demo: DemoCluster, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError, match=says) as failure:
        explain(demo.kubeconfig(tmp_path / "kubeconfig"), *arguments)

    assert failure.value.returncode == 2


def test_a_real_cluster_is_explained_alike(apiserver: KubeApiServer, tmp_path: Path) -> None:
    config = json.dumps({"auths": {"quay.io/team": {"username": "robot", "password": "hunter2"}}})
    namespace = apiserver.create_namespace(service_account=False)
    place = {"namespace": namespace}
    apiserver.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "quay", **place},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": b64encode(config.encode()).decode()},
            },
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", **place},
                "imagePullSecrets": [{"name": "quay"}],
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "app", **place},
                "spec": {"containers": [{"name": "main", "image": "quay.io/team/app:1"}]},
            },
        ]
    )
    path = apiserver.kubeconfig(tmp_path / "kubeconfig", user="admin")

    status, text = explain(path, "quay.io/team/app:1", "-n", namespace, "--pod", "app")

    assert status == 0
    assert "Covered by the key quay.io/team of Secret quay." in text
    assert "hunter2" not in text
