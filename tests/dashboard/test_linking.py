"""A Secret that nothing refers to: the drawer tells how to link it, and kubectl takes what it tells."""

from __future__ import annotations

import os
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.linking import link_command
from scanner.models import Cluster, Namespace
from tests import factories
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer

QUAY = "registry/quay.io"
URL = "/n/prod-eu/team-vision/cells/registry/quay.io/"


@pytest.fixture(name="kubectl")
def _kubectl() -> Path:
    found = binaries.find("kubectl")
    if found is None:
        parts.missing("kubectl", "run `make binaries`")
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["regcred"]),
        (["theirs", "another"], ["theirs", "another", "regcred"]),
    ],
)
def test_the_command_links_the_secret_and_drops_no_other(
    apiserver: KubeApiServer, kubectl: Path, tmp_path: Path, before: list[str], after: list[str]
) -> None:
    where = apiserver.create_namespace()
    account: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount"}
    listed = {"imagePullSecrets": [{"name": name} for name in before]} if before else {}
    apiserver.apply([{**account, "metadata": {"name": "trainer", "namespace": where}, **listed}])
    config = apiserver.kubeconfig(tmp_path / "kubeconfig")
    environment = {"PATH": f"{kubectl.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "KUBECONFIG": str(config)}
    command = link_command(namespace=where, account="trainer", secret="regcred")

    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    made = apiserver.must("GET", f"/api/v1/namespaces/{where}/serviceaccounts/trainer")
    assert [one["name"] for one in made["imagePullSecrets"]] == after


@pytest.mark.django_db
class TestTheDrawer:
    @pytest.fixture
    def cluster(self, broker_up: None) -> Cluster:
        return factories.cluster(scanned_at=timezone.now())

    @pytest.fixture
    def namespace(self, cluster: Cluster) -> Namespace:
        made = factories.namespace(cluster)
        factories.cell(made, QUAY, "critical unlinked")
        return made

    def told(self, ada: Client, namespace: Namespace, **details: Any) -> str:
        factories.finding(
            namespace, "PS04", reason="unlinked", details={"secret": "regcred", "pods": ["web-0"], **details}
        )
        return unescape(ada.get(URL).content.decode())

    def test_it_shows_the_command_for_each_service_account_whose_pods_fail(
        self, ada: Client, namespace: Namespace
    ) -> None:
        page = self.told(ada, namespace, to_link=["default", "trainer"], own_lists=[])

        for account in ("default", "trainer"):
            assert f"<code>regcred</code> to the ServiceAccount <code>{account}</code>" in page
            assert link_command(namespace="team-vision", account=account, secret="regcred") in page
        assert "of the Pod template" not in page

    def test_pods_that_name_their_own_are_told_to_name_it_in_their_template(
        self, ada: Client, namespace: Namespace
    ) -> None:
        page = self.told(ada, namespace, to_link=[], own_lists=["web-0"])

        assert "web-0 gets no pull Secrets from its ServiceAccount: add <code>regcred</code>" in page
        assert "kubectl patch" not in page

    def test_what_an_older_version_stored_offers_nothing(self, ada: Client, namespace: Namespace) -> None:
        assert "Link it" not in self.told(ada, namespace, is_linked_now=False)
