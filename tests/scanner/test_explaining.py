"""Which pull Secret would be used for one image, entry by entry, in words and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scanner.check import Context
from scanner.credential import Fingerprint
from scanner.explaining import Explanation, NotThere, as_json, as_text, explain_image
from scanner.image import InvalidImage
from scanner.policy import Policy
from scanner.snapshot import build_snapshot
from tests.objects import namespace_objects
from tests.scanner.test_coverage import ANONYMOUS, pod, pull_secret

NOW = datetime(2026, 9, 1, tzinfo=UTC)
IMAGE = "harbor.example.com/team/app:1"


def context(*objects: dict[str, Any], **unreadable: str) -> Context:
    snapshot = build_snapshot(namespace_objects(list(objects), unreadable=unreadable), fingerprint=Fingerprint(b"test"))
    return Context(snapshot=snapshot, policy=Policy(), now=NOW)


def account(*names: str) -> dict[str, Any]:
    secrets = [{"name": name} for name in names]
    return {"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": secrets}


def explained(*objects: dict[str, Any], image: str = IMAGE, pod: str | None = None) -> Explanation:
    return explain_image(context(*objects), image, pod=pod)


def lines(explanation: Explanation) -> list[tuple[str, str, int | None, str]]:
    return [(line.secret, line.key, line.order, line.mismatch or line.state) for line in explanation.lines]


def test_entries_come_in_the_order_of_the_kubelet_and_the_rest_says_why_not() -> None:
    found = explained(
        pull_secret("a", "harbor.example.com", "quay.io", "harbor.example.com:443"),
        pull_secret("b", "harbor.example.com/team", "harbor.example.com/other", "bad key"),
        account("a", "b"),
    )

    assert found.is_covered
    assert lines(found) == [
        ("b", "harbor.example.com/team", 1, "used"),
        ("a", "harbor.example.com", 2, "next"),
        ("a", "quay.io", None, "host_labels"),
        ("a", "harbor.example.com:443", None, "port"),
        ("b", "harbor.example.com/other", None, "path"),
        ("b", "bad key", None, "dropped"),
    ]
    assert found.verdict == "Covered by the key harbor.example.com/team of Secret b."
    assert "should it read harbor.example.com?" in found.lines[3].words


def test_one_broken_secret_spoils_all_of_them() -> None:
    broken = {**pull_secret("b"), "stringData": {".dockerconfigjson": '{"auths":{"x":"oops"}}'}}

    found = explained(pull_secret("a", "harbor.example.com"), broken, account("a", "b"))

    assert not found.is_covered
    assert "cannot read Secret b" in found.verdict
    assert lines(found) == [("a", "harbor.example.com", None, "malformed"), ("b", "", None, "malformed")]
    assert [(step.step, step.state) for step in found.chain][3] == ("secret", "broken")


def test_missing_secrets_and_those_of_another_type_are_passed_over() -> None:
    opaque = {"kind": "Secret", "metadata": {"name": "opaque"}, "type": "Opaque"}
    empty = {**pull_secret("empty"), "stringData": {".dockerconfigjson": '{"credsStore":"desktop"}'}}

    found = explained(opaque, empty, account("gone", "opaque", "empty"))

    assert lines(found) == [
        ("gone", "", None, "missing"),
        ("opaque", "", None, "wrong-type"),
        ("empty", "", None, "wrong-type"),
    ]
    assert "credsStore" in found.lines[2].words


def test_docker_hubs_fallback_is_used_alone_and_hidden_beside_another_key() -> None:
    hub, old = pull_secret("hub", "https://index.docker.io/v1/", username="new"), pull_secret("old", "docker.io")

    alone = explained(hub, account("hub"), image="nginx")
    both = explained(hub, old, account("hub", "old"), image="nginx")
    elsewhere = explained(hub, account("hub"))

    assert lines(alone) == [("hub", "index.docker.io", 1, "used")]
    assert lines(both) == [
        ("old", "docker.io", 1, "used"),
        ("hub", "https://index.docker.io/v1/", None, "shadowed"),
    ]
    assert any("hides the login" in hint for hint in both.hints)
    assert not elsewhere.is_covered


def test_an_expired_entry_covers_nothing_by_itself_and_costs_a_try_before_another() -> None:
    expired, fresh = pull_secret("a", "harbor.example.com"), pull_secret("b", "harbor.example.com", username="other")
    expired["metadata"]["annotations"] = {"credboard.dev/expires-at": "2026-08-01"}

    assert not explained(expired, account("a")).is_covered
    both = explained(expired, fresh, account("a", "b"))
    assert both.is_covered
    assert lines(both) == [("a", "harbor.example.com", 1, "expired"), ("b", "harbor.example.com", 2, "used")]


def test_an_entry_without_a_user_name_does_not_cover() -> None:
    found = explained(pull_secret("a", "harbor.example.com", username=""), account("a"))

    assert (found.is_covered, lines(found)) == (False, [("a", "harbor.example.com", 1, "anonymous")])
    assert "no user name" in found.verdict


def test_the_list_of_a_pod_replaces_that_of_its_service_account() -> None:
    objects = [pull_secret("a", "harbor.example.com"), pull_secret("b", "quay.io"), account("a")]

    found = explained(*objects, pod("app", IMAGE, "b", message=ANONYMOUS), pod="app")

    assert (found.is_covered, found.source, found.pull_secrets) == (False, "pod", ("b",))
    assert any("replaces those of ServiceAccount default (a)" in hint for hint in found.hints)
    assert any("Secret a of this Namespace would cover" in hint for hint in found.hints)
    assert [step.state for step in found.chain][2] == "broken"


def test_a_pod_older_than_the_link_is_told_to_be_made_again() -> None:
    found = explained(pull_secret("a", "harbor.example.com"), account("a"), pod("app", IMAGE), pod="app")

    assert not found.is_covered
    assert any("delete this one" in hint for hint in found.hints)
    assert "the Pod is older" in found.chain[2].note


def test_any_image_can_be_asked_about_for_a_pod() -> None:
    found = explained(pull_secret("a", "quay.io"), account("a"), pod("app", IMAGE, "a"), image="quay.io/x", pod="app")

    assert (found.is_covered, found.source, found.chain[0].title) == (True, "service-account", "quay.io/x")


def test_what_is_not_there_or_could_not_be_read_is_no_answer() -> None:
    with pytest.raises(NotThere, match="no Pod gone"):
        explained(pod="gone")
    with pytest.raises(NotThere, match="no ServiceAccount default"):
        explained()
    with pytest.raises(NotThere, match="secrets of the Namespace team-vision could not be read: forbidden"):
        explain_image(context(account(), secrets="forbidden"), IMAGE)
    with pytest.raises(InvalidImage):
        explained(account(), image="None:None")


def test_no_form_of_it_holds_a_value_and_each_line_is_one_line() -> None:
    hostile = pull_secret("a", "user:hunter2@harbor.example.com", "quay.io\\u001b[31m\\nx")

    found = explained(hostile, account("a"))

    for text in (as_text(found), as_json(found), repr(found)):
        assert "hunter2" not in text
    assert found.is_covered
    assert all(line.isprintable() for line in as_text(found).splitlines())


def test_json_is_the_data_of_the_chain_with_the_entries() -> None:
    document = json.loads(as_json(explained(pull_secret("a", "harbor.example.com"), account("a"))))

    assert document["covered"] is True
    assert document["entries"][0] == {
        "secret": "a",
        "key": "harbor.example.com",
        "username": "u",
        "order": 1,
        "state": "used",
        "mismatch": "",
        "words": "is used",
    }
    assert [step["step"] for step in document["chain"]] == [
        "image",
        "pod",
        "pull-secrets",
        "secret",
        "key",
        "registry",
    ]


def test_an_entry_without_a_password_is_told_as_such() -> None:
    secret = pull_secret("a", "harbor.example.com")
    secret["stringData"] = {".dockerconfigjson": '{"auths":{"harbor.example.com":{"username":"ada"}}}'}
    secret.pop("data", None)

    found = explained(secret, account("a"))

    assert found.verdict.startswith("Not covered: the entry that matches holds no password")


def test_a_static_pod_is_not_told_to_be_made_again() -> None:
    static = pod("proxy-node-1", IMAGE)
    static["metadata"]["ownerReferences"] = [{"kind": "Node", "name": "node-1", "controller": True}]

    found = explained(pull_secret("a", "harbor.example.com"), account("a"), static, pod="proxy-node-1")

    assert not found.is_covered
    assert not any("delete this one" in hint for hint in found.hints)
