"""The commands of docs/faq.md are taken by kubectl and an API server, with names in place of NS, POD and SECRET."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs_blocks import blocks
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer

PAGE: Final = "docs/faq.md"
#: As the pages of Kubernetes write what is to be filled in.
COMMANDS: Final = [
    re.sub(r"\s+#\s.*$", "", line)
    for block in blocks(PAGE)
    if block.language == "text"
    for line in block.text.splitlines()
]
CHANGES: Final = ("delete", "create", "annotate")
REVISIONS: Final = "serving.knative.dev"


def revisions() -> dict[str, Any]:
    """Knative's resource, as far as asking for it goes."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "revisions", "singular": "revision", "kind": "Revision"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"revisions.{REVISIONS}"},
        "spec": {"group": REVISIONS, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture(scope="module", name="team")
def _team(apiserver: KubeApiServer) -> str:
    """A Namespace with a Pod and the pull Secret that it names."""
    name = apiserver.create_namespace()
    secret = {"metadata": {"name": "regcred", "namespace": name}, "type": "kubernetes.io/dockerconfigjson"}
    spec = {"imagePullSecrets": [{"name": "regcred"}], "containers": [{"name": "main", "image": "nginx"}]}
    failed = {"status": {"conditions": [{"message": "failed to resolve image to digest"}]}}
    apiserver.apply(
        [
            revisions(),
            {
                "apiVersion": f"{REVISIONS}/v1",
                "kind": "Revision",
                "metadata": {"name": "r-1", "namespace": name},
                **failed,
            },
            {"apiVersion": "v1", "kind": "Secret", **secret, "stringData": {".dockerconfigjson": '{"auths":{}}'}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app-1", "namespace": name}, "spec": spec},
        ]
    )
    return name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_an_answer_is_taken(command: str, team: str, apiserver: KubeApiServer, tmp_path: Path) -> None:
    kubectl = binaries.find("kubectl")
    if kubectl is None:
        parts.missing("kubectl", "run `make binaries`")
    # What follows the bar makes it readable, with programs that need not be here.
    asked = command.partition(" | ")[0]
    for placeholder, name in {"NS": team, "POD": "app-1", "SECRET": "regcred"}.items():
        asked = re.sub(rf"\b{placeholder}\b", name, asked)
    words = asked.split()
    assert words[0] == "kubectl", command
    if words[1] in CHANGES:
        asked += " --dry-run=server"
    if words[1] == "create":
        asked = asked.replace("regcred", "another")
    config = apiserver.kubeconfig(tmp_path / "kubeconfig")
    environment = {"PATH": f"{kubectl.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "KUBECONFIG": str(config)}

    done = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it says nothing"


def test_only_commands_of_kubectl_are_shown() -> None:
    assert len(COMMANDS) >= 9
    assert {block.language for block in blocks(PAGE)} == {"text"}
