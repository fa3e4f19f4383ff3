"""All of it, or nothing, and never in silence."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster as Api
from scanner.models import Namespace
from scanner.provision import Refusal
from tests.scanner.provision.builders import create, links, only_entry, pod, secrets

pytestmark = pytest.mark.django_db


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


def test_a_creation_that_timed_out_says_what_may_be_left(
    api: Api, namespace: Namespace, demo: DemoCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.create_secret

    def hasty(*args: Any, **options: Any) -> Any:
        with monkeypatch.context() as patched:
            if not options.get("dry_run"):
                patched.setattr(api._transport, "_timeouts", (60, 0.3))
            return real(*args, **options)

    monkeypatch.setattr(api, "create_secret", hasty)
    demo.faults.hang(60, method="POST", path=r"/secrets\?fieldManager=credboard$")
    demo.faults.respond(403, method="GET", path="/secrets/regcred", times=None)

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default")

    assert "perhaps the Secret regcred" in refused.value.message
    assert "kubectl delete secret regcred -n team-a" in refused.value.remedy
    assert only_entry().outcome == "failed"


def test_a_pod_that_cannot_be_deleted_undoes_everything(api: Api, namespace: Namespace, demo: DemoCluster) -> None:
    demo.api.load(pod("web-1", by="ReplicaSet/web"))
    demo.faults.respond(403, method="DELETE", path="/pods/")

    with pytest.raises(Refusal) as refused:
        create(api, namespace, "default", restart=True)

    assert "Everything was undone" in refused.value.message
    assert "regcred" not in secrets(api)
    assert links(api)["default"] == []
