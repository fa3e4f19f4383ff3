"""An owner on a real API server creates what Kubernetes lets them, and learns what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Cluster, Namespace, NamespaceOwner
from tests.dashboard.create.form import GITLAB, HTMX, form, linked, secret
from tests.rig.apiserver import KubeApiServer

pytestmark = pytest.mark.django_db


class TestAnOwnerOnARealApiServer:
    USER = "grace@example.com"
    MAKES = (
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["patch"]},
    )

    @pytest.fixture
    def owned(self, apiserver: KubeApiServer, tmp_path: Path, told: list[str]) -> Namespace:
        kubeconfig = apiserver.kubeconfig(tmp_path / "kubeconfig")
        cluster = Cluster.objects.create(name="demo", kubeconfig=str(kubeconfig), next_scan_at=None)
        made = Namespace.objects.create(
            cluster=cluster, name=apiserver.create_namespace(), scanned_at=timezone.now(), service_accounts=["default"]
        )
        NamespaceOwner.objects.create(namespace=made, kind="user", name=self.USER, source="profile")
        return made

    @pytest.fixture
    def owner(self, client: Client) -> Client:
        client.force_login(User.objects.create_user(username=self.USER))
        return client

    def post(self, client: Client, where: Namespace, **changes: Any) -> HttpResponse:
        data = form(name="regcred", service_accounts=["default"], **changes)
        return client.post(f"/n/demo/{where}/create/{GITLAB}/", data, headers=HTMX)

    def test_without_rights_the_missing_one_is_named(
        self, owner: Client, owned: Namespace, apiserver: KubeApiServer, tmp_path: Path
    ) -> None:
        response = self.post(owner, owned)

        text = response.content.decode()
        assert response.status_code == 422
        assert f"does not let {self.USER} create secrets in {owned.name}" in text
        assert "kubectl create role" in text
        assert AuditEntry.objects.get().outcome == "refused"

    def test_half_the_rights_are_not_enough(self, owner: Client, owned: Namespace, apiserver: KubeApiServer) -> None:
        apiserver.grant(self.USER, self.MAKES[:1], namespace=owned.name)

        assert "patch serviceaccounts" in self.post(owner, owned).content.decode()
        with Api.from_kubeconfig(owned.cluster.kubeconfig) as api:
            assert secret(api, owned.name, "regcred") is None

    def test_with_the_rights_it_is_created_and_linked(
        self, owner: Client, owned: Namespace, apiserver: KubeApiServer
    ) -> None:
        apiserver.grant(self.USER, self.MAKES, namespace=owned.name)

        assert self.post(owner, owned).status_code == 200
        with Api.from_kubeconfig(owned.cluster.kubeconfig) as api:
            assert secret(api, owned.name, "regcred") is not None
            assert linked(api, owned.name, "default") == ["regcred"]
        assert AuditEntry.objects.get().actor == self.USER
