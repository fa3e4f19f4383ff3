"""Lists over all Namespaces and of one, and what a server tells of itself."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from scanner import raw
from scanner.cluster import Cluster, Gone, listing
from scanner.cluster.errors import Ask
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace
from tests.scanner.cluster_contract.lab import PROFILE_CRD, Json, Lab, RealLab, event, names, pod, secret, under


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
