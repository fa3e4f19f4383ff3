"""Creating a pull Secret: all of it, or nothing, and never in silence. Against the demo's API server and a real one."""

from __future__ import annotations

import base64
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner import provision, scan
from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Cluster, Namespace
from scanner.provision import Created, Decision, Plan, Refusal, create_pull_secret
from tests.rig.apiserver import KubeApiServer

pytestmark = pytest.mark.django_db

TYPE = "kubernetes.io/dockerconfigjson"
PASSWORD = "Tr0ub4dor-and-3"
DATA = {".dockerconfigjson": json.dumps({"auths": {"quay.io": {"username": "u", "password": PASSWORD}}}).encode()}
NAME = "team-a"
BACK_OFF = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
_numbers = itertools.count(1)


def account(name: str, *secrets: str) -> dict[str, Any]:
    return {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": NAME},
        "imagePullSecrets": [{"name": secret} for secret in secrets],
    }


def pod(
    name: str, *, by: str = "", image: str = "quay.io/team/app:1", state: dict[str, Any] = BACK_OFF
) -> dict[str, Any]:
    kind, _, owner = by.partition("/")
    references = [{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": NAME, "ownerReferences": references if by else []},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "image": image, "state": state}]},
    }


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    objects = [
        {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAME}},
        account("default"),
        account("default-editor", "theirs"),
        account("pipeline", "regcred"),
    ]
    with DemoCluster(objects=objects, closed=(), kubelet=False) as cluster:
        yield cluster


@pytest.fixture
def api(demo: DemoCluster, tmp_path: Path) -> Iterator[Api]:
    with Api.from_kubeconfig(
        str(demo.kubeconfig(tmp_path / "kubeconfig")), connect_timeout=1, read_timeout=1
    ) as connection:
        yield connection


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    monkeypatch.setattr(scan, "tell_dispatcher", lambda: True)
    cluster = Cluster.objects.create(name="prod-eu", next_scan_at=None)
    return Namespace.objects.create(cluster=cluster, name=NAME)


def create(
    api: Any,
    namespace: Namespace,
    *accounts: str,
    name: str = "regcred",
    restart: bool = False,
    permitted: Callable[[], Decision] = lambda: Decision(allowed=True),
) -> Created:
    plan = Plan(
        name=name,
        type=TYPE,
        credential="registry/quay.io",
        registry="quay.io",
        service_accounts=accounts,
        restart=restart,
    )
    return create_pull_secret(api, namespace, plan, DATA, actor="grace@example.com", permitted=permitted)


def secrets(api: Api) -> list[str]:
    return [secret.metadata.name for secret in api.namespace(NAME).secrets]


def links(api: Api) -> dict[str, list[str]]:
    return {
        found.metadata.name: [reference.name for reference in found.image_pull_secrets or ()]
        for found in api.service_accounts(NAME)
    }


def only_entry() -> AuditEntry:
    return AuditEntry.objects.get()


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


@pytest.mark.parametrize("code", [403, 500])
def test_a_link_that_fails_undoes_secret_and_links(
    api: Api, namespace: Namespace, demo: DemoCluster, code: int
) -> None:
    path = r"/serviceaccounts/default-editor\?fieldManager=credboard$"
    demo.faults.respond(code, method="PATCH", path=path)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", "default-editor")

    assert "Everything was undone" in refused.value.message
    assert "regcred" not in secrets(api)
    assert links(api) == {"default": [], "default-editor": ["theirs"], "pipeline": ["regcred"]}
    assert only_entry().outcome == "undone"


def test_undoing_keeps_a_link_that_was_there_before(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    demo.faults.respond(500, method="PATCH", path=r"/serviceaccounts/default\?fieldManager=credboard$")

    with pytest.raises(Refusal):
        create(api, namespace, "pipeline", "default")

    assert links(api)["pipeline"] == ["regcred"]


def test_what_cannot_be_undone_is_named_with_the_commands_that_remove_it(
    api: Api, namespace: Namespace, demo: DemoCluster
) -> None:
    demo.faults.respond(500, method="PATCH", path=r"/serviceaccounts/default-editor\?fieldManager=credboard$")
    demo.faults.respond(500, method="DELETE", path="/secrets/", times=None)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", "default-editor")

    assert "Undoing failed too" in refused.value.message
    assert "the Secret regcred" in refused.value.message
    assert refused.value.remedy == "kubectl delete secret regcred -n team-a"
    assert links(api)["default"] == []
    entry = only_entry()
    assert entry.outcome == "failed"
    assert entry.details["left"] == ["the Secret regcred"]


def test_a_link_that_cannot_be_taken_back_is_named_with_its_command(
    api: Api, namespace: Namespace, demo: DemoCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first PATCH without dry-run goes through, every later one does not.
    real = api.link_pull_secret

    def link_then_break(namespace: str, service_account: str, secret: str, *, dry_run: bool = False) -> bool:
        changed = real(namespace, service_account, secret, dry_run=dry_run)
        if not dry_run:
            demo.faults.respond(500, method="PATCH", times=None)
        return changed

    monkeypatch.setattr(api, "link_pull_secret", link_then_break)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", "default-editor")

    assert "the link to regcred on the ServiceAccount default" in refused.value.message
    assert "kubectl edit serviceaccount default" in refused.value.remedy
    assert "regcred" not in secrets(api)


def test_a_creation_whose_answer_was_lost_is_found_and_undone(
    api: Api, namespace: Namespace, demo: DemoCluster
) -> None:
    demo.faults.cut(keep=0.1, method="POST", path=r"/secrets\?fieldManager=credboard$")

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    assert "regcred" not in secrets(api)
    assert "undone" in refused.value.message
    assert only_entry().outcome == "undone"


def test_a_creation_that_timed_out_says_what_may_be_left(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    demo.faults.hang(2.5, method="POST", path=r"/secrets\?fieldManager=credboard$")
    demo.faults.respond(403, method="GET", path="/secrets/regcred", times=None)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    assert "perhaps the Secret regcred" in refused.value.message
    assert "kubectl delete secret regcred -n team-a" in refused.value.remedy
    assert only_entry().outcome == "failed"


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


def test_a_pod_that_cannot_be_deleted_undoes_everything(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    demo.api.load(pod("web-1", by="ReplicaSet/web"))
    demo.faults.respond(403, method="DELETE", path="/pods/")

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", restart=True)

    assert "Everything was undone" in refused.value.message
    assert "regcred" not in secrets(api)
    assert links(api)["default"] == []


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
