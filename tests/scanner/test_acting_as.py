"""Writing in the name of a person, by impersonation, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.cluster import CannotActAs, Cluster, Forbidden, Person
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace

TYPE = "kubernetes.io/dockerconfigjson"
DATA = {".dockerconfigjson": b'{"auths":{}}'}
CREATES = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]


def may_act_as(server: KubeApiServer, account: str, **names: list[str]) -> None:
    rules = [
        {"apiGroups": [""], "resources": [resource], "verbs": ["impersonate"], "resourceNames": allowed}
        for resource, allowed in names.items()
    ]
    server.grant(account, rules)


@pytest.fixture(name="account")
def _account(apiserver: KubeApiServer) -> str:
    """Somebody who may do nothing yet."""
    name = unique_namespace("board")
    apiserver.add_user(name)
    return name


@pytest.fixture(name="own")
def _own(apiserver: KubeApiServer, account: str, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.from_kubeconfig(str(apiserver.kubeconfig(tmp_path / "kubeconfig", user=account))) as connection:
        yield connection


def test_who_may_be_acted_for_writes_with_rights_of_their_own(
    apiserver: KubeApiServer, account: str, own: Cluster
) -> None:
    ada, where = unique_namespace("ada@example.com"), apiserver.create_namespace()
    may_act_as(apiserver, account, users=[ada])
    apiserver.grant(ada, CREATES, namespace=where)

    assert own.acting_as(Person(name=ada)).create_secret(where, "hers", TYPE, DATA)

    fields = apiserver.must("GET", f"/api/v1/namespaces/{where}/secrets/hers")["metadata"]["managedFields"]
    assert [field["manager"] for field in fields] == ["credboard"]
    with pytest.raises(Forbidden, match="may not create secrets") as refusal:
        own.create_secret(where, "ours", TYPE, DATA)
    assert account in str(refusal.value)
    assert not isinstance(refusal.value, CannotActAs)


def test_what_the_person_may_not_do_is_said_of_the_person(apiserver: KubeApiServer, account: str, own: Cluster) -> None:
    ada, where = unique_namespace("ada@example.com"), apiserver.create_namespace()
    may_act_as(apiserver, account, users=[ada])
    with pytest.raises(Forbidden) as refusal:
        own.acting_as(Person(name=ada)).create_secret(where, "hers", TYPE, DATA)
    assert str(refusal.value) == f"{ada} may not create secrets in the Namespace {where!r}."
    assert f"--user={ada}" in refusal.value.remedy


def test_the_rights_of_a_group_count_where_the_group_may_be_acted_for(
    apiserver: KubeApiServer, account: str, own: Cluster
) -> None:
    ada, group, where = unique_namespace("ada"), unique_namespace("Team Ümlaut"), apiserver.create_namespace()
    may_act_as(apiserver, account, users=[ada], groups=[group])
    name = {"metadata": {"name": unique_namespace("of-group")}}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{where}"
    apiserver.must("POST", f"{rbac}/roles", {**name, "rules": CREATES})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name["metadata"]["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
    apiserver.grant(ada, CREATES, namespace=apiserver.create_namespace())  # by when the server's cache has the rest too
    apiserver.must("POST", f"{rbac}/rolebindings", {**name, "roleRef": reference, "subjects": [subject]})
    review = {
        "spec": {
            "user": ada,
            "groups": [group],
            "resourceAttributes": {"verb": "create", "resource": "secrets", "namespace": where},
        }
    }
    for _ in range(1000):
        if apiserver.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]:
            break

    assert own.acting_as(Person(name=ada, groups=(group,))).create_secret(where, "ours", TYPE, DATA)
    with pytest.raises(CannotActAs, match=f"act for (the group others|{ada})"):
        own.acting_as(Person(name=ada, groups=(group, "others"))).create_secret(where, "again", TYPE, DATA)


def test_who_may_not_be_acted_for_is_named_with_the_commands_that_allow_it(
    apiserver: KubeApiServer, account: str, own: Cluster
) -> None:
    ada, where = unique_namespace("ada"), apiserver.create_namespace()
    may_act_as(apiserver, account, users=[ada])
    with pytest.raises(CannotActAs) as refusal:
        own.acting_as(Person(name="grace@example.com")).create_secret(where, "hers", TYPE, DATA)
    assert "does not let Credboard act for grace@example.com" in str(refusal.value)
    create, bind = refusal.value.grant
    assert create == (
        "kubectl create clusterrole credboard-impersonate-grace-example-com --verb=impersonate --resource=users "
        "--resource-name=grace@example.com"
    )
    assert bind.endswith(f"--user={account}")


def test_without_any_right_to_impersonate_the_person_is_named_all_the_same(
    apiserver: KubeApiServer, own: Cluster
) -> None:
    where = apiserver.create_namespace()
    with pytest.raises(CannotActAs, match="act for grace, so nothing") as refusal:
        own.acting_as(Person(name="grace")).create_secret(where, "hers", TYPE, DATA)
    assert "--resource-name=grace" in refusal.value.remedy


@pytest.mark.parametrize(
    "person",
    [
        Person(name="system:admin"),
        Person(name=""),
        Person(name="ada", groups=("system:masters",)),
    ],
)
def test_names_of_kubernetes_itself_are_never_sent(apiserver: KubeApiServer, tmp_path: Path, person: Person) -> None:
    path = str(apiserver.kubeconfig(tmp_path / "kubeconfig"))
    with (
        Cluster.from_kubeconfig(path) as administrator,
        pytest.raises(CannotActAs, match="does not act for") as refusal,
    ):
        administrator.acting_as(person).pods("default")
    assert refusal.value.remedy


def test_the_connection_itself_goes_on_as_before(apiserver: KubeApiServer, tmp_path: Path) -> None:
    path = str(apiserver.kubeconfig(tmp_path / "kubeconfig"))
    with Cluster.from_kubeconfig(path) as administrator:
        with pytest.raises(Forbidden):
            administrator.acting_as(Person(name="ada")).pods("default")
        assert isinstance(administrator.pods("default"), list)
