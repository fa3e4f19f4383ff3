"""What a person is told when a credential cannot be created, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from dashboard.celery import app as celery_app
from dashboard.demo.server import DemoCluster
from scanner import scan
from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Cluster, Namespace
from tests.dashboard.create.form import HTMX, PASSWORD, TELL, URL, form, linked, secret
from tests.rig.valkey import ValkeyServer

pytestmark = pytest.mark.django_db


class TestWhatGoesWrong:
    def refused(self, client: Client, **changes: Any) -> str:
        response = client.post(URL, form(**changes), headers=HTMX)
        assert response.status_code == 422
        text = response.content.decode()
        assert PASSWORD not in text
        assert "s3cret" not in text
        return text

    def test_an_empty_form_says_what_is_missing(self, operator: Client, namespace: Namespace, api: Api) -> None:
        text = self.refused(operator, name="", username="", password="")

        assert "This field is required" in text
        assert "not shown back" not in text.lower()
        assert secret(api) is None

    def test_all_that_a_login_lacks_is_said_at_once(self, operator: Client, namespace: Namespace) -> None:
        text = self.refused(operator, username="", password="")

        assert "Fill in the user name" in text
        assert "Fill in this too." in text

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"username": ""}, "Fill in the user name"),
            ({"password": ""}, "Fill in the password"),
            ({"password": f"{PASSWORD} "}, "begins or ends with a blank"),
            ({"password": f"\t{PASSWORD}"}, "begins or ends with a blank"),
            ({"server": "quay.io"}, "no entry that the kubelet would use for gitlab.example.com:4567"),
            ({"name": "Reg_Cred"}, "lower-case letters"),
            ({"how": "paste", "config_json": ""}, "Paste the content of the file"),
            ({"how": "paste", "config_json": '{"auths": {"s3cret"'}, "could not read this config.json"),
            ({"how": "paste", "config_json": '{"credsStore": "desktop", "auths": {}}'}, "credential helper"),
            ({"service_accounts": ["nobody-knows"]}, "nobody-knows is not one of the available choices"),
        ],
    )
    def test_what_cannot_be_right_is_said_beside_its_input(
        self, operator: Client, namespace: Namespace, api: Api, changes: dict[str, Any], words: str
    ) -> None:
        assert words in self.refused(operator, **changes)
        assert secret(api) is None
        assert not AuditEntry.objects.exists()

    def test_what_was_typed_besides_secrets_is_kept(self, operator: Client, namespace: Namespace) -> None:
        text = self.refused(operator, name="Reg_Cred", service_accounts=["default", "default-editor"])

        assert 'value="gitlab+deploy-token"' in text
        assert text.count("checked") == 3
        assert "Not shown back. Type or paste it again." in text
        assert "Secret values are not shown back" in text

    def test_a_name_that_is_taken_is_said_with_a_way_to_see_it(
        self, operator: Client, namespace: Namespace, api: Api
    ) -> None:
        text = self.refused(operator, name="harbor-credential")

        assert "A Secret called harbor-credential is already in this Namespace" in text
        assert "See what is in" in text
        assert "harbor-credential" in linked(api)

    def test_a_failing_link_is_undone_and_said(
        self, operator: Client, namespace: Namespace, api: Api, demo: DemoCluster
    ) -> None:
        demo.faults.respond(500, method="PATCH", path=r"/serviceaccounts/default-editor\?fieldManager=credboard$")

        assert "Everything was undone" in self.refused(operator)
        assert secret(api) is None
        assert AuditEntry.objects.get().outcome == "undone"

    def test_a_quota_is_said_in_words(self, operator: Client, namespace: Namespace, demo: DemoCluster) -> None:
        words = 'secrets "regcred-pipeline" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=3'
        demo.faults.respond(403, method="POST", path="/secrets", message=words)

        text = self.refused(operator)

        assert "is used up" in text
        assert "ResourceQuota raised" in text

    def test_a_cluster_that_is_away_is_said_in_words(
        self, operator: Client, namespace: Namespace, demo: DemoCluster
    ) -> None:
        demo.stop()

        assert "Not created" in self.refused(operator)

    def test_a_kubeconfig_that_is_gone_is_said_in_words(
        self, operator: Client, namespace: Namespace, tmp_path: Path
    ) -> None:
        Cluster.objects.update(kubeconfig=str(tmp_path / "gone"))

        assert "Not created" in self.refused(operator)


class TestWithoutABroker:
    @pytest.fixture
    def no_broker(self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The application as it is when Redis went away."""
        monkeypatch.setattr(scan, "tell_dispatcher", TELL)
        celery_app.pool.force_close_all()
        monkeypatch.setattr(celery_app.conf, "broker_url", valkey.url)
        valkey.stop()
        yield
        celery_app.pool.force_close_all()

    def test_creation_works_and_the_scan_is_due(
        self, operator: Client, namespace: Namespace, api: Api, no_broker: None
    ) -> None:
        response = operator.post(URL, form(), headers=HTMX)

        assert "Redis does not answer" in response.content.decode()
        assert secret(api) is not None
        namespace.refresh_from_db()
        assert namespace.next_scan_at is not None
        assert AuditEntry.objects.get().outcome == "done"
