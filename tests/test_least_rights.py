"""The manifests of docs/rbac, applied to a real API server: enough for what they are for, and no more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scanner.cluster import Cluster as Api
from scanner.cluster import Forbidden
from scanner.models import Cluster, Namespace, Scan
from scanner.scan import scan_cluster, scan_namespace
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace
from tests.scanner.scan.builders import pod, scan_handed_out, secret

RBAC = Path(__file__).parent.parent / "docs" / "rbac"
GROUP = "rbac.authorization.k8s.io"
READS = {"secrets", "serviceaccounts", "pods", "events"}
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((RBAC / f"{name}.yaml").read_text(encoding="utf-8"))
    return document


class Account:
    """A ServiceAccount in a Namespace of its own, as Credboard's Pods would have one."""

    def __init__(self, server: KubeApiServer, folder: Path) -> None:
        self._server = server
        self.namespace = server.create_namespace()
        self.name = unique_namespace("credboard")
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        server.apply([{**account, "metadata": {"name": self.name, "namespace": self.namespace}}])
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = server.must("POST", path, request)["status"]["token"]
        config = json.loads(server.kubeconfig(folder / "admin.kubeconfig").read_text(encoding="utf-8"))
        config["users"][0]["user"] = {"token": token}
        self.kubeconfig = folder / f"{self.name}.kubeconfig"
        self.kubeconfig.write_text(json.dumps(config), encoding="utf-8")

    def bind(self, role: dict[str, Any], *, namespace: str = "") -> None:
        """Apply `role` and bind it, in one Namespace or the whole cluster; returns once the server honours it."""
        where = {"namespace": namespace} if namespace else {}
        # Only in tests do several copies of the same role live in one cluster.
        role = {**role, "metadata": {**role["metadata"], **where}}
        binding = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": self.name, **where},
            "roleRef": {"apiGroup": GROUP, "kind": role["kind"], "name": role["metadata"]["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}],
        }
        self._server.apply([role, binding])
        rule = role["rules"][-1]
        with self.connect() as api:
            deadline = time.monotonic() + 60
            while not api.can_i(rule["verbs"][-1], rule["resources"][-1], namespace, group=rule["apiGroups"][-1]):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def connect(self) -> Api:
        return Api.from_kubeconfig(str(self.kubeconfig))

    def may(self, *verbs: str, on: set[str], namespace: str = "", group: str = "") -> set[tuple[str, str]]:
        """Which of these it may."""
        with self.connect() as api:
            return {
                (verb, resource)
                for verb in verbs
                for resource in on
                if api.can_i(verb, resource, namespace, group=group)
            }

    def cluster(self, **fields: Any) -> Cluster:
        return Cluster.objects.create(name=self.name, kubeconfig=str(self.kubeconfig), **fields)


MakeAccount = Callable[[], Account]


@pytest.fixture(name="make_account")
def _make_account(apiserver: KubeApiServer, tmp_path: Path) -> MakeAccount:
    return lambda: Account(apiserver, tmp_path)


@pytest.fixture(name="team")
def _team(apiserver: KubeApiServer) -> str:
    """A Namespace whose one Pod has the Secret that it needs."""
    name = apiserver.create_namespace(annotations={"credboard.dev/owner": "ada@example.com"})
    apiserver.apply([secret(name), pod(name)])
    return name


@pytest.mark.django_db
def test_with_the_cluster_reader_all_is_scanned_at_once_and_one_by_one(make_account: MakeAccount, team: str) -> None:
    account = make_account()
    account.bind(manifest("cluster-reader"))
    cluster = account.cluster(include=[team])
    done = scan_cluster(cluster)
    assert done is not None
    assert (done.state, done.mode, done.error) == ("done", "cluster", "")
    row = Namespace.objects.select_related("cluster").get()
    assert (row.status, row.unreadable, row.owners.get().name) == ("ok", {}, "ada@example.com")
    assert scan_namespace(row).state == "done"
    row.refresh_from_db()
    assert (row.status, row.unreadable) == ("ok", {})


def test_the_cluster_reader_changes_nothing(make_account: MakeAccount) -> None:
    account = make_account()
    account.bind(manifest("cluster-reader"))
    assert account.may("list", on=READS | {"namespaces"}) == {("list", one) for one in READS | {"namespaces"}}
    assert account.may(*WRITES, on=READS | {"namespaces", "configmaps"}) == set()
    assert account.may("list", "get", on={"configmaps", "nodes", "deployments"}) == set()
    assert account.may(*WRITES, on={"roles", "rolebindings", "clusterroles"}, group=GROUP) == set()
    assert account.may("create", on={"subjectaccessreviews"}, group="authorization.k8s.io") == set()


@pytest.mark.django_db
def test_with_the_namespace_reader_what_is_named_is_scanned_and_nothing_else(
    apiserver: KubeApiServer, make_account: MakeAccount, team: str
) -> None:
    closed = apiserver.create_namespace()
    apiserver.apply([secret(closed), pod(closed)])
    account = make_account()
    account.bind(manifest("namespace-reader"), namespace=team)
    parent = scan_cluster(account.cluster(include=[team, closed]))
    assert parent is not None
    assert parent.mode == "namespaces"
    scan_handed_out()
    assert Scan.objects.get(pk=parent.pk).state == "done"
    row = Namespace.objects.get(name=team)
    assert (row.status, row.owners.get().name) == ("ok", "ada@example.com"), "its own annotations can be read"
    assert not row.unreadable.keys() & READS
    assert Namespace.objects.get(name=closed).status == "unknown"
    assert account.may("get", "list", on=READS, namespace=closed) == set()
    assert account.may(*WRITES, on=READS, namespace=team) == set()


def test_the_creator_makes_links_and_undoes_and_reads_no_secret(make_account: MakeAccount, team: str) -> None:
    account = make_account()
    account.bind(manifest("creator"))
    with account.connect() as api:
        uid = api.create_secret(team, "made", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": b'{"auths":{}}'})
        assert api.link_pull_secret(team, "default", "made")
        assert [one.name for a in api.service_accounts(team) for one in a.image_pull_secrets or ()] == ["made"]
        assert api.unlink_pull_secret(team, "default", "made")
        api.delete_secret(team, "made", uid)
        assert api.can("ada", [], "create", "secrets", team) is False, "it may ask what others may"
        with pytest.raises(Forbidden):
            api.secret_metadata(team, "regcred")
        with pytest.raises(Forbidden):
            api.namespace_names()
    assert account.may("get", "list", "watch", "update", "patch", on={"secrets"}, namespace=team) == set()
    assert account.may("create", "update", "patch", on={"pods", "configmaps", "namespaces"}, namespace=team) == set()
    assert account.may(*WRITES, on={"roles", "rolebindings"}, namespace=team, group=GROUP) == set()
