"""What `Cluster` relies on, asked of a real kube-apiserver and of the demo cluster alike."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.request import Request, urlopen

import pytest

from dashboard.demo.server import DemoCluster
from scanner import raw
from scanner.cluster import (
    Cluster,
    ClusterWideForbidden,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    QuotaExceeded,
    listing,
)
from scanner.cluster.errors import Ask
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace

Json = dict[str, Any]

READS_ALL = [
    {
        "apiGroups": [""],
        "resources": ["namespaces", "secrets", "serviceaccounts", "pods", "events"],
        "verbs": ["get", "list"],
    },
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["get", "list"]},
]
PROFILE_CRD: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "profiles.kubeflow.org"},
    "spec": {
        "group": "kubeflow.org",
        "scope": "Cluster",
        "names": {"plural": "profiles", "singular": "profile", "kind": "Profile", "listKind": "ProfileList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
_users = itertools.count(1)


class Lab(Protocol):
    """A cluster to try things on."""

    def connect(self, user: str = "") -> Cluster: ...
    def new_user(self) -> str: ...
    def new_namespace(self, name: str = "", **metadata: Any) -> str: ...
    def apply(self, *objects: Json) -> None: ...
    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None: ...


class RealLab:
    def __init__(self, server: KubeApiServer, folder: Path) -> None:
        self.server, self._folder = server, folder

    def connect(self, user: str = "") -> Cluster:
        name = user or "admin"
        path = self.server.kubeconfig(self._folder / f"{name}.kubeconfig", user=name)
        return Cluster.from_kubeconfig(str(path))

    def new_user(self) -> str:
        name = f"contract-{next(_users)}"
        self.server.add_user(name)
        return name

    def new_namespace(self, name: str = "", **metadata: Any) -> str:
        return self.server.create_namespace(name or unique_namespace("contract"), **metadata)

    def apply(self, *objects: Json) -> None:
        self.server.apply(objects)

    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None:
        self.server.grant(user, rules, namespace=namespace)


class DemoLab:
    def __init__(self, demo: DemoCluster, folder: Path) -> None:
        self.demo, self._folder = demo, folder
        self._tokens: dict[str, str] = {}

    def connect(self, user: str = "") -> Cluster:
        path = self.demo.kubeconfig(self._folder / f"{user}.kubeconfig", token=self._tokens.get(user))
        return Cluster.from_kubeconfig(str(path))

    def new_user(self) -> str:
        name = f"contract-{next(_users)}"
        self._tokens[name] = self.demo.add_user(name, ())
        return name

    def new_namespace(self, name: str = "", **metadata: Any) -> str:
        name = name or unique_namespace("contract")
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}})
        return name

    def apply(self, *objects: Json) -> None:
        for document in objects:
            if document["kind"] != "CustomResourceDefinition":
                self.demo.api.load(document)

    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None:
        kind = "Role" if namespace else "ClusterRole"
        metadata = {"name": f"grant-{next(_users)}", **({"namespace": namespace} if namespace else {})}
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self.apply({"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules}, binding)


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=[], kubelet=False) as server:
        yield server


@pytest.fixture(params=["apiserver", "demo"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    server = request.getfixturevalue(request.param)
    return RealLab(server, tmp_path) if request.param == "apiserver" else DemoLab(server, tmp_path)


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Cluster]:
    with lab.connect() as connection:
        yield connection


def secret(namespace: str, name: str, type: str = "Opaque", **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": type,
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }


def pod(namespace: str, name: str) -> Json:
    containers = [{"name": "main", "image": "quay.io/team/app:1"}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def event(namespace: str, name: str, kind: str, type: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"kind": kind, "name": "one", "namespace": namespace},
        "type": type,
        "reason": "Failed",
        "message": "Failed to pull image",
        "reportingComponent": "kubelet",
    }


def names(objects: list[Any]) -> list[str]:
    return sorted(one.metadata.name for one in objects)


def under(prefix: str, cluster: Cluster, **how: Any) -> dict[str, raw.NamespaceObjects]:
    found = cluster.namespaces(include=[f"{prefix}*"], **how)
    return {one.namespace.metadata.name: one for one in found}


# Lists over all Namespaces


def test_objects_reach_their_namespace_across_pages_whatever_its_name(
    lab: Lab, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    prefix = unique_namespace("order")
    suffixes = ["", "-a", "-a-b", "-a0", "-aa", "-a-b-c", "-b"]
    for number, suffix in enumerate(suffixes):
        name = lab.new_namespace(prefix + suffix)
        lab.apply(*(secret(name, f"s{i}") for i in range(number)), *(pod(name, f"p{i}") for i in range(number % 3)))

    found = under(prefix, cluster)

    assert list(found) == sorted((prefix + s for s in suffixes), key=lambda name: name + "/")
    for number, suffix in enumerate(suffixes):
        one = found[prefix + suffix]
        assert names(one.secrets) == [f"s{i}" for i in range(number)]
        assert names(one.pods) == [f"p{i}" for i in range(number % 3)]
        assert "default" in names(one.service_accounts)
        assert one.unreadable == {}


def test_a_namespace_reads_the_same_alone_as_in_the_cluster_wide_lists(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    lab.apply(secret(name, "one", a="1"), pod(name, "one"), event(name, "one", "Pod", "Warning"))
    lab.grant("jane", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], namespace=name)

    alone = cluster.namespace(name)

    assert alone == under(name, cluster)[name]
    assert alone.secrets[0].data == {"a": b"1"}
    assert [s.name for s in alone.role_bindings[0].subjects or ()] == ["jane"]


def test_only_warnings_about_pods_and_no_helm_releases_are_read(lab: Lab, cluster: Cluster) -> None:
    name = lab.new_namespace()
    lab.apply(
        secret(name, "plain"),
        secret(name, "sh.helm.release.v1.app.v1", type="helm.sh/release.v1", release="x"),
        event(name, "wanted", "Pod", "Warning"),
        event(name, "normal", "Pod", "Normal"),
        event(name, "other", "ReplicaSet", "Warning"),
    )

    one = cluster.namespace(name)

    assert (names(one.secrets), names(one.events)) == (["plain"], ["wanted"])


def test_exclude_wins_over_include_and_the_label_selector_narrows_both(lab: Lab, cluster: Cluster) -> None:
    prefix = unique_namespace("choice")
    for suffix, team in (("-a", "ml"), ("-b", "ml"), ("-c", "web")):
        lab.new_namespace(prefix + suffix, labels={"team": team})

    assert list(under(prefix, cluster, exclude=["*-b"])) == [f"{prefix}-a", f"{prefix}-c"]
    assert list(under(prefix, cluster, label_selector="team=ml")) == [f"{prefix}-a", f"{prefix}-b"]
    assert set(cluster.namespace_names(label_selector="team=ml")) >= {f"{prefix}-a", f"{prefix}-b"}


def test_progress_ends_at_the_number_of_namespaces(lab: Lab, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    lab.new_namespace()
    seen: list[tuple[int, int | None]] = []

    count = len(list(cluster.namespaces(progress=lambda done, total: seen.append((done, total)))))

    assert [done for done, _ in seen] == list(range(1, count + 1))
    assert {total for _, total in seen} == {count}


def test_a_profile_names_the_owner_of_its_namespace(lab: Lab, cluster: Cluster) -> None:
    name, robots = lab.new_namespace(), lab.new_namespace()
    profile: Json = {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": name}}
    by_group = {"metadata": {"name": robots}, "spec": {"owner": {"kind": "Group", "name": "robots"}}}
    lab.apply(PROFILE_CRD)
    lab.apply(profile | {"spec": {"owner": {"kind": "User", "name": "jane@example.com"}}}, profile | by_group)

    jane = raw.Subject(kind="User", name="jane@example.com")
    assert cluster.namespace(name).profile_owner == under(name, cluster)[name].profile_owner == jane
    assert cluster.namespace(robots).profile_owner == raw.Subject(kind="Group", name="robots")


# What is forbidden


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


# Writes


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


def test_a_user_without_the_right_learns_which_command_gives_it(lab: Lab) -> None:
    user, name = lab.new_user(), lab.new_namespace()

    with lab.connect(user) as limited, pytest.raises(Forbidden) as refusal:
        limited.create_secret(name, "made", "Opaque", {"k": b"canary-value"})

    assert (refusal.value.verb, refusal.value.resource, refusal.value.namespace) == ("create", "secrets", name)
    assert refusal.value.grant[0].endswith(f"--verb=create --resource=secrets --namespace={name}")
    assert refusal.value.remedy == "\n".join(refusal.value.grant)


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


def test_a_list_that_really_expired_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server of its own: without the snapshots of its cache, which outlive etcd's history, and with that history
    compacted in the middle of a list."""
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)
    try:
        server = KubeApiServer(flags=["--feature-gates=ListFromCacheSnapshot=false"]).start()
    except binaries.NotBuilt as error:
        parts.missing("kube-apiserver", str(error))
    try:
        lab = RealLab(server, tmp_path)
        with lab.connect() as cluster:
            for name in ("aa", "aa-b"):
                lab.new_namespace(name)
                for number in range(10):
                    cluster.create_secret(name, f"s{number}", "Opaque", {})
            send, expired = cluster._transport.send, list[Gone]()

            def compacting(ask: Ask, **how: Any) -> bytes:
                if ask.resource == "secrets" and "continue" in how.get("query", {}) and not expired:
                    lab.new_namespace()  # so that there is something newer than the list
                    _, newest = server.request("GET", "/api/v1/namespaces?limit=1")
                    revision = {"revision": newest["metadata"]["resourceVersion"], "physical": True}
                    request = Request(f"{server._etcd_url}/v3/kv/compaction", json.dumps(revision).encode())
                    urlopen(request).close()
                try:
                    return send(ask, **how)
                except Gone as error:
                    expired.append(error)
                    raise

            monkeypatch.setattr(cluster._transport, "send", compacting)
            found = {one.namespace.metadata.name: len(one.secrets) for one in cluster.namespaces(include=["aa*"])}
    finally:
        server.stop()

    assert expired[0].continue_token
    assert found == {"aa": 10, "aa-b": 10}


def test_the_server_tells_its_version_and_its_clock_to_anyone(lab: Lab) -> None:
    info = lab.connect(lab.new_user()).about()

    assert info.version.startswith("v1.")
    assert info.minor == int(info.version.split(".")[1])
    assert info.clock is not None
    assert info.clock.utcoffset() == timedelta(0)


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
