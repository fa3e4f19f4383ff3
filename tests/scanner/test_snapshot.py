"""Raw objects become one immutable picture without secret values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential
from scanner.elsewhere import MAX_PLACES, Elsewhere, Place
from scanner.snapshot import Secret, Snapshot, build_snapshot
from tests.objects import namespace_objects
from tests.scanner.test_coverage import pod, pull_secret


def snapshot(*objects: dict[str, Any], key: bytes = b"test", **unreadable: str) -> Snapshot:
    return build_snapshot(namespace_objects(list(objects), unreadable=unreadable), fingerprint=Fingerprint(key))


def test_a_pull_secret_keeps_keys_and_user_names_only() -> None:
    secret = snapshot(pull_secret("a", "https://quay.io", "https://me:hunter2@ghcr.io")).secrets["a"]

    assert [(entry.key, entry.username) for entry in secret.entries] == [("quay.io", "u"), ("ghcr.io", "u")]
    assert "hunter2" not in repr(secret)
    assert not {"password", "data"} & {f.name for entry in secret.entries for f in fields(entry)}


def test_the_same_credential_has_the_same_fingerprint_wherever_it_lies() -> None:
    one = snapshot(pull_secret("a", "quay.io")).secrets["a"].credentials[0]
    two = snapshot(pull_secret("b", "quay.io")).secrets["b"].credentials[0]

    assert one.fingerprint == two.fingerprint


def test_another_installation_has_other_fingerprints() -> None:
    one = snapshot(pull_secret("a", "quay.io"), key=b"one").secrets["a"].credentials[0]
    two = snapshot(pull_secret("a", "quay.io"), key=b"two").secrets["a"].credentials[0]

    assert one.fingerprint != two.fingerprint


def test_a_declared_end_is_not_carried_over_to_a_copy_without_it() -> None:
    declared = pull_secret("a", "quay.io")
    declared["metadata"] = {**declared["metadata"], "annotations": {"credboard.dev/expires-at": "2026-09-01"}}

    found = snapshot(declared, pull_secret("b", "quay.io")).secrets

    assert found["a"].credentials[0].expires_at == datetime(2026, 9, 1, tzinfo=UTC)
    assert found["b"].credentials[0].expires_at is None


def test_an_unreadable_annotation_is_told_under_each_secrets_own_name() -> None:
    secrets = [pull_secret(name, "quay.io") for name in "ab"]
    for secret in secrets:
        secret["metadata"]["annotations"] = {"credboard.dev/expires-at": "soon"}

    found = snapshot(*secrets).secrets

    assert [found[name].unparsable[0].credential for name in "ab"] == ["secret/a", "secret/b"]
    assert found["a"].credentials


def test_a_broken_pull_secret_is_malformed_and_no_error() -> None:
    broken = {**pull_secret("a"), "stringData": {".dockerconfigjson": '{"auths":{"x":"hunter2"}}'}}

    secret = snapshot(broken).secrets["a"]

    assert secret.malformed
    assert "hunter2" not in secret.malformed
    assert snapshot(broken).pull_secret_keys() == {}


def test_a_pod_without_a_service_account_has_the_default_one() -> None:
    assert snapshot(pod("app", "x", account="")).pods[0].service_account == "default"


def test_a_container_that_ran_before_its_restart_has_started() -> None:
    one = pod("app", "x")
    one["status"]["containerStatuses"][0] = {
        "name": "main",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"startedAt": "2026-01-01T00:00:00Z"}},
    }

    (found,) = snapshot(one).pods

    assert found.containers[0].started
    assert found.has_started


def test_the_controller_is_what_would_make_the_pod_again() -> None:
    one = pod("app", "x")
    one["metadata"]["ownerReferences"] = [
        {"kind": "Node", "name": "n"},
        {"kind": "Workflow", "name": "run-1", "controller": True},
    ]

    assert snapshot(one).pods[0].controller == "Workflow/run-1"


def test_pull_secret_names_that_are_empty_are_skipped() -> None:
    assert snapshot(pod("app", "x", "", "a")).pods[0].image_pull_secrets == ("a",)


def test_owners_come_from_profile_annotation_and_role_bindings_once_each() -> None:
    namespace = {
        "kind": "Namespace",
        "metadata": {
            "name": "team",
            "labels": {"app.kubernetes.io/part-of": "kubeflow-profile"},
            "annotations": {"owner": "ada@example.com", "credboard.dev/owner": "ada@example.com, bob@example.com"},
        },
    }
    binding = {
        "kind": "RoleBinding",
        "metadata": {"name": "b"},
        "subjects": [{"kind": "Group", "name": "vision"}, {"kind": "Group", "name": "system:masters"}],
        "roleRef": {"kind": "ClusterRole", "name": "edit"},
    }

    found = snapshot(namespace, binding).owners

    assert [(owner.kind, owner.name, owner.source) for owner in found] == [
        ("user", "ada@example.com", "profile"),
        ("user", "bob@example.com", "annotation"),
        ("group", "vision", "rolebinding"),
    ]


def test_a_profile_may_belong_to_a_group() -> None:
    metadata = {
        "name": "team",
        "labels": {"app.kubernetes.io/part-of": "kubeflow-profile"},
        "annotations": {"owner": "vision"},
    }
    objects = namespace_objects([{"kind": "Namespace", "metadata": metadata}])
    owned = msgspec.structs.replace(objects, profile_owner=raw.Subject(kind="Group", name="vision"))

    (owner,) = build_snapshot(owned, fingerprint=Fingerprint(b"test")).owners

    assert (owner.kind, owner.name, owner.source) == ("group", "vision", "profile")


def test_a_snapshot_cannot_be_changed() -> None:
    found = snapshot(pull_secret("a", "quay.io"))

    with pytest.raises(FrozenInstanceError):
        found.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.secrets["b"] = found.secrets["a"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("ada@example.com", [("user", "ada@example.com")]),
        ("ada", [("user", "ada"), ("group", "ada")]),
        ("group:vision, ada@example.com", [("group", "vision"), ("user", "ada@example.com")]),
        ("group:vision@example.com", [("group", "vision@example.com")]),
        ("group:, ,group:system:authenticated", []),
        ("system:anonymous", [("user", "system:anonymous")]),
    ],
)
def test_the_owner_annotation_names_users_and_groups(text: str, owners: list[tuple[str, str]]) -> None:
    namespace = {"kind": "Namespace", "metadata": {"name": "team", "annotations": {"credboard.dev/owner": text}}}

    found = snapshot(namespace).owners

    assert [(owner.kind, owner.name) for owner in found] == owners
    assert {owner.source for owner in found} <= {"annotation"}


def test_whether_there_is_a_password_is_kept_and_when_data_was_written() -> None:
    config = '{"auths":{"a.example.com":{"username":"u","password":"hunter2"},"b.example.com":{"auth":"dTo="}}}'
    managed = {
        "manager": "kubectl",
        "operation": "Update",
        "time": "2026-03-01T00:00:00Z",
        "fieldsV1": {"f:data": {".": {}}},
    }
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [managed]},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    }

    found = snapshot(secret).secrets["s"]

    assert [(entry.key, entry.has_password) for entry in found.entries] == [
        ("a.example.com", True),
        ("b.example.com", False),
    ]
    assert found.changed_at == datetime(2026, 3, 1, tzinfo=UTC)
    assert "hunter2" not in repr(found)


def test_elsewhere_names_places_in_order_besides_the_asking_namespace() -> None:
    elsewhere = Elsewhere()
    for namespace in ("c", "a", "b"):
        elsewhere.add(namespace, {"regcred": ["quay.io"], "other": ["*.example.com"]})

    assert elsewhere.named("regcred", besides="b").first == (Place("a", "regcred"), Place("c", "regcred"))
    assert elsewhere.covering("quay.io/x", besides="zz").first == tuple(Place(n, "regcred") for n in "abc")
    assert elsewhere.covering("harbor.example.com/x", besides="a").first == tuple(Place(n, "other") for n in "bc")
    assert not elsewhere.covering("ghcr.io/x", besides="a")


@pytest.mark.parametrize("besides", ["n-000", "n-005", "n-199", "none-of-them"])
def test_of_many_places_elsewhere_counts_all_and_holds_the_first(besides: str) -> None:
    names = [f"n-{number:03}" for number in range(200)]
    elsewhere = Elsewhere()
    for namespace in reversed(names):
        elsewhere.add(namespace, {"regcred": ["quay.io"], "spare": ["quay.io"]})

    places = elsewhere.covering("quay.io/x", besides=besides)

    others = [name for name in names if name != besides]
    expected = [Place(name, secret) for name in others for secret in ("regcred", "spare")]
    assert places.first == tuple(expected[:MAX_PLACES])
    assert (places.count, places.namespaces) == (len(expected), len(others))


def test_what_is_added_to_elsewhere_later_is_found_too() -> None:
    elsewhere = Elsewhere()
    elsewhere.add("a", {"regcred": ["https://index.docker.io/v1/", "index.docker.io"]})
    assert not elsewhere.covering("quay.io/x", besides="")

    elsewhere.add("b", {"regcred": ["quay.io"]})

    assert elsewhere.covering("quay.io/x", besides="").first == (Place("b", "regcred"),)


def test_a_certificate_lets_nobody_in_but_the_key_beside_it_does() -> None:
    parts = [("tls", "tls.crt"), ("tls", "ca.crt"), ("certificate", "ca.pem"), ("keystore", "trust.jks"), ("aws", "id")]
    found = tuple(ParsedCredential(kind=k, part=p, credential="x", fingerprint=f"{k} {p}") for k, p in parts)
    secret = Secret(name="a", type="Opaque", keys=frozenset(), credentials=found)

    assert Snapshot(name="team", secrets={"a": secret}).fingerprints() == ["aws id", "tls tls.crt"]


def test_an_entry_without_a_password_lets_nobody_in() -> None:
    objects = [pull_secret("a", "quay.io"), pull_secret("b", "quay.io", password="")]
    snapshot = build_snapshot(namespace_objects(objects), fingerprint=Fingerprint(b"key"))

    assert len(snapshot.fingerprints()) == 1


@pytest.mark.parametrize("secret_type", ["example.com/api-login", "kubernetes.io/basic-auth", "istio.io/key-and-cert"])
def test_a_type_of_ones_own_holds_what_an_opaque_secret_may(secret_type: str) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NTcxNDcyOTl9.c2ln"
    secret = snapshot(
        {"kind": "Secret", "metadata": {"name": "a"}, "type": secret_type, "stringData": {"password": token}}
    ).secrets["a"]

    assert [one.expires_at for one in secret.credentials] == [datetime(2025, 9, 6, 8, 28, 19, tzinfo=UTC)]
