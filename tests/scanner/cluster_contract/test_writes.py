"""Secrets that are created and deleted, ServiceAccounts that are linked, Pods that are deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.cluster import Cluster, Conflict, Invalid, NotFound, QuotaExceeded
from scanner.cluster.errors import Ask
from tests.rig.apiserver import KubeApiServer
from tests.scanner.cluster_contract.lab import Lab, RealLab, names, pod


def test_a_created_secret_holds_what_was_given_and_is_ours(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()

    uid = cluster.create_secret(name, "made", "Opaque", {"k": b"\x00\xff", "e": b""}, {"a": "b"}, {"c": "d"})

    made = cluster.namespace(name).secrets[0]
    assert (made.metadata.uid, made.data) == (uid, {"k": b"\x00\xff", "e": b""})
    assert (made.metadata.labels, made.metadata.annotations) == ({"a": "b"}, {"c": "d"})
    assert cluster.secret_metadata(name, "made").uid == uid


def test_a_dry_run_is_checked_and_leaves_nothing(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()

    cluster.create_secret(name, "made", "Opaque", {"k": b"v"}, dry_run=True)
    assert cluster.link_pull_secret(name, "default", "made", dry_run=True)
    with pytest.raises(Invalid):
        cluster.create_secret(name, "Not_A_Name", "Opaque", {"k": b"v"}, dry_run=True)

    found = cluster.namespace(name)
    assert found.secrets == []
    assert [account.image_pull_secrets for account in found.service_accounts] == [None]


def test_a_second_secret_of_the_same_name_is_a_conflict(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    cluster.create_secret(name, "made", "Opaque", {})

    with pytest.raises(Conflict, match="already exists") as refusal:
        cluster.create_secret(name, "made", "Opaque", {})

    assert refusal.value.reason == "AlreadyExists"


def test_what_is_invalid_names_the_fields_and_quotes_no_value(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    value = b"hunter2-is-no-docker-config"

    with pytest.raises(Invalid) as refusal:
        cluster.create_secret(name, "made", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": value})

    assert [field for field, _ in refusal.value.causes] == ["data[.dockerconfigjson]"]
    assert b"hunter2" not in f"{refusal.value!r}{refusal.value.causes}{refusal.value.remedy}".encode()


def test_a_secret_in_a_missing_namespace_is_not_found(cluster: Cluster) -> None:
    with pytest.raises(NotFound):
        cluster.create_secret("no-such-place", "made", "Opaque", {})


def test_only_the_secret_with_the_given_uid_is_deleted(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    uid = cluster.create_secret(name, "made", "Opaque", {})

    with pytest.raises(Conflict):
        cluster.delete_secret(name, "made", "00000000-0000-0000-0000-000000000000")
    assert names(cluster.namespace(name).secrets) == ["made"]
    cluster.delete_secret(name, "made", uid)
    assert cluster.namespace(name).secrets == []
    with pytest.raises(NotFound):
        cluster.delete_secret(name, "made", uid)


def test_linking_keeps_the_pull_secrets_of_others_and_may_be_repeated(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": name}}
    lab.apply(account | {"imagePullSecrets": [{"name": "theirs"}]})

    def linked() -> set[str]:
        robot = next(a for a in cluster.service_accounts(name) if a.metadata.name == "robot")
        return {reference.name for reference in robot.image_pull_secrets or ()}

    assert cluster.link_pull_secret(name, "robot", "ours")
    assert not cluster.link_pull_secret(name, "robot", "ours")
    assert linked() == {"theirs", "ours"}
    assert cluster.unlink_pull_secret(name, "robot", "ours")
    assert not cluster.unlink_pull_secret(name, "robot", "ours")
    assert linked() == {"theirs"}
    with pytest.raises(NotFound):
        cluster.link_pull_secret(name, "nobody", "ours")


def test_a_link_that_somebody_made_meanwhile_is_kept(
    lab: Lab, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = lab.new_namespace()
    send, rivals = cluster._transport.send, iter(["rival"])

    def overtaken(ask: Ask, **how: Any) -> bytes:
        for rival in rivals if ask.verb == "patch" else ():
            with lab.connect() as other:
                assert other.link_pull_secret(name, "default", rival)
        return send(ask, **how)

    monkeypatch.setattr(cluster._transport, "send", overtaken)

    assert cluster.link_pull_secret(name, "default", "ours")
    [account] = cluster.service_accounts(name)
    assert [reference.name for reference in account.image_pull_secrets or ()] == ["rival", "ours"]


def test_a_deleted_pod_is_gone_unless_it_is_another_one(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    lab.apply(pod(name, "one"))

    with pytest.raises(Conflict):
        cluster.delete_pod(name, "one", "00000000-0000-0000-0000-000000000000")
    cluster.delete_pod(name, "one")

    left = cluster.namespace(name).pods
    assert all(one.metadata.deletion_timestamp for one in left)


def test_a_used_up_quota_is_told_apart_from_a_missing_right(apiserver: KubeApiServer, tmp_path: Path) -> None:
    """Only on the real API server: the demo has no quotas. No controller runs, so the status is set by hand."""
    lab = RealLab(apiserver, tmp_path)
    name = lab.new_namespace()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": name}}
    hard = {"hard": {"secrets": "0"}}
    lab.apply({**quota, "spec": hard, "status": {**hard, "used": {"secrets": "0"}}})

    def create_until_refused(cluster: Cluster) -> None:
        for _ in range(50):  # the API server's view of quotas lags a little
            cluster.create_secret(name, "made", "Opaque", {}, dry_run=True)

    with lab.connect() as cluster, pytest.raises(QuotaExceeded, match="quota"):
        create_until_refused(cluster)
