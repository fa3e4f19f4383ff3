"""Creating a pull Secret, against the demo's API server and a real one."""

from __future__ import annotations

import base64
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner import provision
from scanner.cluster import Cluster as Api
from scanner.models import Namespace
from scanner.provision import Decision, Refusal
from tests.rig.apiserver import KubeApiServer
from tests.scanner.provision.builders import DATA, NAME, PASSWORD, TYPE, create, links, only_entry, pod, secrets

pytestmark = pytest.mark.django_db
_numbers = itertools.count(1)


def test_a_secret_is_created_linked_audited_and_the_scan_is_due(api: Api, namespace: Namespace) -> None:
    created = create(api, namespace, "default", "default-editor")

    made = next(secret for secret in api.namespace(NAME).secrets if secret.metadata.name == "regcred")
    assert (made.type, made.data, made.metadata.uid) == (TYPE, DATA, created.uid)
    assert made.metadata.labels == {"app.kubernetes.io/managed-by": "credboard"}
    assert links(api)["default"] == ["regcred"]
    assert sorted(links(api)["default-editor"]) == ["regcred", "theirs"]
    assert created.linked == ("default", "default-editor")
    assert created.scan_told
    entry = only_entry()
    assert (entry.actor, entry.outcome, entry.object) == ("grace@example.com", "done", "Secret/regcred")
    assert (entry.cluster, entry.namespace) == ("prod-eu", NAME)
    namespace.refresh_from_db()
    assert namespace.next_scan_at is not None


def test_an_account_that_names_the_secret_already_is_left_as_it_is(api: Api, namespace: Namespace) -> None:
    assert create(api, namespace, "pipeline").linked == ()
    assert links(api)["pipeline"] == ["regcred"]


def test_who_may_not_changes_nothing_and_is_audited(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    with pytest.raises(Refusal) as refused:
        create(api, namespace, permitted=lambda: Decision(allowed=False, words="No.", remedy="kubectl create role x"))

    assert (refused.value.message, refused.value.remedy) == ("No.", "kubectl create role x")
    assert not [seen for seen in demo.requests if seen.method != "GET"]
    assert only_entry().outcome == "refused"


def test_a_name_that_is_taken_is_said_beside_the_name(api: Api, namespace: Namespace) -> None:
    create(api, namespace)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    assert refused.value.field == "name"
    assert refused.value.conflict
    assert "already in this Namespace" in refused.value.message
    assert links(api)["default"] == []
    assert secrets(api).count("regcred") == 1


def test_a_name_that_kubernetes_refuses_is_said_beside_the_name(api: Api, namespace: Namespace) -> None:
    with pytest.raises(Refusal) as refused:
        create(api, namespace, name="Not_A_Name")

    assert refused.value.field == "name"
    assert only_entry().outcome == "refused"


def test_a_service_account_that_is_gone_is_found_out_before_anything_is_made(api: Api, namespace: Namespace) -> None:
    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", "gone")

    assert refused.value.field == "service_accounts"
    assert "regcred" not in secrets(api)
    assert links(api)["default"] == []
    assert only_entry().outcome == "refused"


def test_a_name_taken_between_rehearsal_and_creation_leaves_the_other_secret_alone(
    api: Api, namespace: Namespace, demo: DemoCluster
) -> None:
    demo.faults.respond(409, method="POST", path=r"/secrets\?fieldManager=credboard$", message="it is there")

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    assert "Nothing was created" in refused.value.message
    assert only_entry().outcome == "failed"
    assert not [seen for seen in demo.requests if seen.method == "DELETE"]


def test_pods_that_can_start_again_do_and_the_others_are_told_of(
    api: Api, namespace: Namespace, demo: DemoCluster
) -> None:
    for one in (
        pod("web-1", by="ReplicaSet/web"),
        pod("run-1", by="Workflow/run"),
        pod("alone"),
        pod("other", by="ReplicaSet/other", image="nginx"),
        pod("runs", by="ReplicaSet/web", state={"running": {}}),
    ):
        demo.api.load(one)

    created = create(api, namespace, "default", restart=True)

    assert created.restarted == ("web-1",)
    assert sorted((waiting.name, waiting.controller) for waiting in created.waiting) == [
        ("alone", ""),
        ("run-1", "Workflow/run"),
    ]
    assert sorted(found.metadata.name for found in api.namespace(NAME).pods) == ["alone", "other", "run-1", "runs"]


def test_pods_are_left_alone_unless_asked_for(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    demo.api.load(pod("web-1", by="ReplicaSet/web"))

    created = create(api, namespace)

    assert created.restarted == ()
    assert [found.metadata.name for found in api.namespace(NAME).pods] == ["web-1"]


def test_an_entry_is_written_before_the_first_change(
    api: Api, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(provision, "_link_and_restart", killed)

    with pytest.raises(KeyboardInterrupt):
        create(api, namespace, "default")

    assert only_entry().outcome == "failed"
    assert "interrupted" in only_entry().message


def test_no_value_is_in_refusal_audit_or_log(
    api: Api, namespace: Namespace, demo: DemoCluster, caplog: pytest.LogCaptureFixture
) -> None:
    encoded = base64.b64encode(DATA[".dockerconfigjson"]).decode()
    message = f"admission webhook says {PASSWORD} and {encoded}"
    demo.faults.respond(500, method="POST", path=r"/secrets\?fieldManager=credboard$", message=message)

    with caplog.at_level(logging.DEBUG), pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    told = f"{refused.value.message} {refused.value!r} {refused.value.remedy} {caplog.text} {only_entry().__dict__}"
    assert PASSWORD not in told
    assert encoded[:24] not in told


class TestOnARealApiServer:
    @pytest.fixture
    def real(self, apiserver: KubeApiServer, tmp_path: Path) -> Iterator[Api]:
        with Api.from_kubeconfig(str(apiserver.kubeconfig(tmp_path / "real"))) as connection:
            yield connection

    @pytest.fixture
    def here(self, apiserver: KubeApiServer, namespace: Namespace) -> Namespace:
        namespace.name = apiserver.create_namespace()
        namespace.save()
        return namespace

    def test_a_secret_is_created_and_linked(self, real: Api, here: Namespace) -> None:
        created = create(real, here, "default")

        assert real.secret_metadata(here.name, "regcred").uid == created.uid
        (default,) = [found for found in real.service_accounts(here.name) if found.metadata.name == "default"]
        assert [reference.name for reference in default.image_pull_secrets or ()] == ["regcred"]

    def test_a_secret_that_exists_is_a_conflict_beside_the_name(self, real: Api, here: Namespace) -> None:
        create(real, here)

        with pytest.raises(Refusal) as refused:
            create(real, here, "default")

        assert (refused.value.field, refused.value.conflict) == ("name", True)

    def test_a_name_that_is_none_is_refused_beside_the_name(self, real: Api, here: Namespace) -> None:
        with pytest.raises(Refusal) as refused:
            create(real, here, name="Not_A_Name")

        assert refused.value.field == "name"

    def test_a_quota_is_said_in_words(self, real: Api, here: Namespace, apiserver: KubeApiServer) -> None:
        apiserver.apply(
            [
                {
                    "apiVersion": "v1",
                    "kind": "ResourceQuota",
                    "metadata": {"name": "few", "namespace": here.name},
                    "spec": {"hard": {"secrets": "0"}},
                    "status": {"hard": {"secrets": "0"}, "used": {"secrets": "0"}},
                }
            ]
        )

        with pytest.raises(Refusal) as refused:
            create(real, here, "default")

        assert "quota" in refused.value.message
        assert "ResourceQuota" in refused.value.remedy

    def test_a_right_that_credboard_lacks_is_named_with_the_command_that_grants_it(
        self, apiserver: KubeApiServer, here: Namespace, tmp_path: Path
    ) -> None:
        user = f"credboard-web-{next(_numbers)}"
        apiserver.add_user(user)
        with (
            Api.from_kubeconfig(str(apiserver.kubeconfig(tmp_path / "web", user=user))) as poor,
            pytest.raises(Refusal) as refused,
        ):
            create(poor, here, "default")

        assert "may not create secrets" in refused.value.message
        assert "kubectl create role" in refused.value.remedy

    def test_undoing_removes_the_secret_and_the_link(self, real: Api, here: Namespace, tmp_path: Path) -> None:
        from scanner import cluster

        class Breaks(Api):
            def link_pull_secret(
                self, namespace: str, service_account: str, secret: str, *, dry_run: bool = False
            ) -> bool:
                changed = super().link_pull_secret(namespace, service_account, secret, dry_run=dry_run)
                if service_account == "default" and not dry_run:
                    raise cluster.Unavailable("The answer was lost.", kind="timeout")
                return changed

        real.__class__ = Breaks

        with pytest.raises(Refusal) as refused:
            create(real, here, "default")

        assert "Everything was undone" in refused.value.message
        with pytest.raises(cluster.NotFound):
            real.secret_metadata(here.name, "regcred")
        (default,) = [found for found in real.service_accounts(here.name) if found.metadata.name == "default"]
        assert not default.image_pull_secrets
