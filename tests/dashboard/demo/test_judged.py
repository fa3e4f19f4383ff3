"""What a scan says of the demo's stories about pull Secrets that look right."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster
from scanner.credential import Fingerprint
from scanner.policy import Policy
from scanner.verdict import Verdict, judge_all

HARBOR, GITLAB = "registry/harbor.example.com", "registry/gitlab.example.com:4567"


@pytest.fixture(name="verdicts", scope="module")
def _verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    names = ("serving-prod", "team-maps", "data-science-sandbox", "team-translate", "team-search", "batch-scoring")
    path: Path = tmp_path_factory.mktemp("demo") / "kubeconfig"
    with DemoCluster(kubelet=False) as demo, Cluster.from_kubeconfig(str(demo.kubeconfig(path))) as cluster:
        objects = [cluster.namespace(name) for name in names]
    found = judge_all(objects, policy=Policy(), now=datetime.now(UTC), fingerprint=Fingerprint(b"test"))
    return {verdict.snapshot.name: verdict for verdict in found}


def cells(verdict: Verdict) -> dict[str, tuple[str, str, int]]:
    return {cell.credential: (str(cell.status), cell.reason, cell.pod_count) for cell in verdict.cells}


def test_keys_that_only_just_miss_are_the_wrong_host_and_have_no_column(verdicts: dict[str, Verdict]) -> None:
    assert cells(verdicts["serving-prod"])[HARBOR] == ("critical", "wrong-host", 3)
    assert cells(verdicts["team-maps"]) == {GITLAB: ("critical", "wrong-host", 2)}
    (cell,) = verdicts["team-maps"].cells
    assert next(step.title for step in cell.chain if step.state == "broken") == (
        "gitlab.example.com should read gitlab.example.com:4567"
    )
    assert "registry/registry.example.com" not in cells(verdicts["serving-prod"])


def test_the_sandbox_is_latent_and_shadowed(verdicts: dict[str, Verdict]) -> None:
    found = cells(verdicts["data-science-sandbox"])

    assert found[HARBOR] == ("warning", "latent", 6)
    assert found["registry/docker.io"][:2] == ("warning", "shadowed")
    assert found[GITLAB][:2] == ("ok", "covered")


def test_an_opaque_pull_secret_is_of_the_wrong_type(verdicts: dict[str, Verdict]) -> None:
    assert cells(verdicts["team-translate"])["registry/docker.io"][:2] == ("warning", "wrong-type")


def test_workload_secrets_share_one_column(verdicts: dict[str, Verdict]) -> None:
    found = cells(verdicts["batch-scoring"])

    assert found["secrets"][0] == "critical"
    assert not any(credential.startswith("secret/") for credential in found)
