"""What is forbidden, how that is told, and which command grants it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from scanner.cluster import Cluster, ClusterWideForbidden, Forbidden, NotFound
from tests.rig import binaries
from tests.rig.apiserver import KubeApiServer
from tests.scanner.cluster_contract.lab import READS_ALL, Lab, RealLab, names, pod, secret, under


def test_forbidden_lists_are_named_before_anything_is_read(lab: Lab) -> None:
    user = lab.new_user()
    lab.grant(user, [{"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["list"]}])

    with lab.connect(user) as limited, pytest.raises(ClusterWideForbidden) as refusal:
        next(limited.namespaces())

    assert refusal.value.resources == {"secrets", "serviceaccounts"}
    commands = []
    for resource in ("secrets", "serviceaccounts"):
        role = f"credboard-list-{resource}"
        commands += [
            f"kubectl create clusterrole {role} --verb=list --resource={resource}",
            f"kubectl create clusterrolebinding {role}-{user} --clusterrole={role} --user={user}",
        ]
    assert list(refusal.value.grant) == commands


def test_without_events_and_role_bindings_a_cluster_is_still_read(lab: Lab) -> None:
    user, name = lab.new_user(), lab.new_namespace()
    lab.grant(user, [{**READS_ALL[0], "resources": ["namespaces", "secrets", "serviceaccounts", "pods"]}])
    lab.apply(secret(name, "one"))

    with lab.connect(user) as limited:
        found = under(name, limited)[name]

    assert {"events", "rolebindings"} <= found.unreadable.keys() <= {"events", "rolebindings", "profiles"}
    assert set(found.unreadable.values()) == {"forbidden"}
    assert names(found.secrets) == ["one"]


def test_in_one_namespace_each_forbidden_resource_stands_for_itself(lab: Lab) -> None:
    user, name = lab.new_user(), lab.new_namespace()
    lab.grant(user, [{"apiGroups": [""], "resources": ["pods", "serviceaccounts"], "verbs": ["list"]}], namespace=name)
    lab.apply(secret(name, "one"), pod(name, "one"))

    with lab.connect(user) as limited:
        found = limited.namespace(name)

    assert found.namespace.metadata.name == name
    assert names(found.pods) == ["one"]
    assert found.secrets == []
    assert {"secrets", "events", "rolebindings"} <= found.unreadable.keys()
    assert not {"pods", "serviceaccounts"} & found.unreadable.keys()


def test_a_namespace_that_is_not_there_is_not_found(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match="no-such-place"):
        cluster.namespace("no-such-place")


@pytest.mark.parametrize("scope", ["namespace", "cluster"])
def test_the_commands_of_a_refusal_grant_what_was_refused(apiserver: KubeApiServer, tmp_path: Path, scope: str) -> None:
    kubectl = binaries.find("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not built")
    lab = RealLab(apiserver, tmp_path)
    user, name = lab.new_user(), lab.new_namespace()
    admin = apiserver.kubeconfig(tmp_path / "grants.kubeconfig")
    with lab.connect(user) as limited:
        ask = (lambda: limited.service_accounts(name)) if scope == "namespace" else limited.namespace_names
        with pytest.raises(Forbidden) as refusal:
            ask()
        for command in refusal.value.grant:
            arguments = shlex.split(command)
            subprocess.run([kubectl, "--kubeconfig", admin, *arguments[1:]], check=True, capture_output=True)
        granted = {"verb": "list", "namespace": name if scope == "namespace" else ""}
        resource = "serviceaccounts" if scope == "namespace" else "namespaces"
        with lab.connect() as boss:
            while not boss.can(user, [], granted["verb"], resource, granted["namespace"]):
                pass  # RBAC rules take a moment to count
        assert ask()


def test_access_reviews_answer_for_ourselves_and_for_others(lab: Lab, cluster: Cluster) -> None:
    user, name, other = lab.new_user(), lab.new_namespace(), lab.new_namespace()
    lab.grant(user, [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}], namespace=name)

    with lab.connect(user) as limited:
        assert limited.can_i("create", "secrets", name)
        assert not limited.can_i("create", "secrets", other)
        assert not limited.can_i("list", "secrets", "")
    assert cluster.can(user, [], "create", "secrets", name)
    assert not cluster.can(user, [], "create", "secrets", other)
    assert not cluster.can(user, [], "create", "rolebindings", name, "rbac.authorization.k8s.io")
    assert cluster.can("boss", ["system:masters"], "create", "rolebindings", name, "rbac.authorization.k8s.io")


def test_a_user_without_the_right_learns_which_command_gives_it(lab: Lab) -> None:
    user, name = lab.new_user(), lab.new_namespace()

    with lab.connect(user) as limited, pytest.raises(Forbidden) as refusal:
        limited.create_secret(name, "made", "Opaque", {"k": b"canary-value"})

    assert (refusal.value.verb, refusal.value.resource, refusal.value.namespace) == ("create", "secrets", name)
    assert refusal.value.grant[0].endswith(f"--verb=create --resource=secrets --namespace={name}")
    assert refusal.value.remedy == "\n".join(refusal.value.grant)


def test_rights_to_list_are_told_by_resource(lab: Lab) -> None:
    user, namespace = lab.new_user(), lab.new_namespace()
    assert set(lab.connect(user).rights().values()) == {False}

    lab.grant(user, READS_ALL[:1])
    lab.grant(user, READS_ALL, namespace)

    wide, within = lab.connect(user).rights(), lab.connect(user).rights(namespace)
    assert wide.pop("rolebindings") is False
    assert set(wide) == {"namespaces", "secrets", "serviceaccounts", "pods", "events"}
    assert all(wide.values())
    assert within == {"secrets": True, "serviceaccounts": True, "pods": True, "events": True, "rolebindings": True}
