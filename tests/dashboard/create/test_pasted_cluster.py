"""A Secret is created in the cluster whose kubeconfig is stored, whatever the files of the usual places lead to."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster as Api
from scanner.encryption import encrypt
from scanner.models import ClusterAccess, Namespace
from tests.dashboard.create.form import HTMX, URL, form, secret

pytestmark = pytest.mark.django_db


def test_it_is_written_to_the_cluster_that_was_pasted(
    operator: Client, namespace: Namespace, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = namespace.cluster
    pasted = Path(cluster.kubeconfig).read_text(encoding="utf-8")
    with DemoCluster(closed=(), kubelet=False) as another:
        usual = another.kubeconfig(tmp_path / "usual")
        monkeypatch.setenv("KUBECONFIG", str(usual))
        ClusterAccess.objects.update_or_create(cluster=cluster, defaults={"kubeconfig": encrypt(pasted)})
        cluster.kubeconfig = ""
        cluster.save()

        response = operator.post(URL, form(), headers=HTMX)

        assert response.status_code == 200
        with Api.from_kubeconfig(str(usual)) as elsewhere:
            assert secret(elsewhere) is None
    assert secret(api) is not None
