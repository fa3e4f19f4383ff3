"""`Cluster.watch` on a real API server and the demo cluster, and what it makes of everything that is no watch."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import (
    Change,
    Changes,
    Cluster,
    Forbidden,
    Gone,
    NotFound,
    Throttled,
    Unavailable,
    listing,
    profiles,
    watching,
)
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace

CANARY = "hunter2-canary-value"
ENCODED = b64encode(CANARY.encode()).decode()
CORE = "/api/v1"


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aa"}}]
    with DemoCluster(objects=objects, kubelet=False) as server:
        yield server


@pytest.fixture
def cluster(demo: DemoCluster, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.from_kubeconfig(str(demo.kubeconfig(tmp_path / "kubeconfig")), read_timeout=60) as connection:
        yield connection


@pytest.fixture
def real(apiserver: KubeApiServer, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.from_kubeconfig(str(apiserver.kubeconfig(tmp_path / "real.kubeconfig"))) as connection:
        yield connection


def open_watch(cluster: Cluster, resource: str = "secrets", *, since: str = "", **options: Any) -> Changes:
    version = since or cluster.version_now(resource)
    return cluster.watch(resource, **{"since": version, "seconds": 20, "silence": 20, **options})


def secret(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"a": "b"}}, "stringData": {"password": CANARY}}


def wire(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every byte that a watch reads from now on."""
    seen: list[bytes] = []
    read = Changes._read

    def note(self: Changes) -> bytes:
        chunk = read(self)
        seen.append(chunk)
        return chunk

    monkeypatch.setattr(Changes, "_read", note)
    return seen


def test_a_real_api_server_tells_every_change_and_sends_no_value(
    apiserver: KubeApiServer, real: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = wire(monkeypatch)
    where = apiserver.create_namespace()
    path = f"{CORE}/namespaces/{where}/secrets"
    apiserver.must("POST", path, secret("before"))
    with open_watch(real) as changes:
        # Between the list and the first line that is read: nothing of that is missed.
        apiserver.must("POST", path, secret("one"))
        apiserver.must("PUT", f"{path}/one", {**secret("one"), "stringData": {"password": CANARY + "2"}})
        apiserver.must("DELETE", f"{path}/one")
        ours = (change for change in changes if change.namespace == where)
        told = [next(ours) for _ in range(3)]
        version = changes.version

    assert told == [Change(kind, where) for kind in ("ADDED", "MODIFIED", "DELETED")]
    received = b"".join(seen)
    assert b'"name":"one"' in received
    assert b"PartialObjectMetadata" in received
    assert CANARY.encode() not in received
    assert ENCODED[:12].encode() not in received
    apiserver.must("POST", path, secret("two"))
    with open_watch(real, since=version) as changes:
        again = list(islice((change for change in changes if change.namespace == where), 2))
    # The version moves on after a change was taken: the last one comes again rather than never.
    assert [change.type for change in again] == ["DELETED", "ADDED"]


def test_the_list_that_a_watch_starts_from_is_of_one_item_without_values(
    apiserver: KubeApiServer, real: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = apiserver.create_namespace()
    for name in ("a", "b", "c"):
        apiserver.must("POST", f"{CORE}/namespaces/{where}/secrets", secret(name))
    bodies: list[bytes] = []
    answer = real._transport.answer

    def note(*arguments: Any, **options: Any) -> Any:
        found = answer(*arguments, **options)
        bodies.append(found[0])
        return found

    monkeypatch.setattr(real._transport, "answer", note)

    assert real.version_now("secrets").isdecimal()

    (body,) = bodies
    assert len(json.loads(body)["items"]) == 1
    assert ENCODED[:12].encode() not in body
    assert "data" not in json.loads(body)["items"][0]


@pytest.mark.parametrize("resource", sorted(watching.WATCHED.keys() - {"profiles"}))
def test_everything_that_is_watched_can_be(real: Cluster, resource: str) -> None:
    with open_watch(real, resource, seconds=1) as changes:
        list(changes)

    assert changes.version


def test_bookmarks_move_the_version_on_and_are_no_changes(apiserver: KubeApiServer, real: Cluster) -> None:
    with open_watch(real, "rolebindings", seconds=3) as changes:
        before = changes.version
        apiserver.must("POST", f"{CORE}/namespaces/{apiserver.create_namespace()}/secrets", secret("elsewhere"))
        told = [change for change in changes if change]

    assert told == []
    assert int(changes.version) >= int(before)


def test_a_namespace_is_told_by_its_own_name(apiserver: KubeApiServer, real: Cluster) -> None:
    name = unique_namespace()
    with open_watch(real, "namespaces") as changes:
        apiserver.create_namespace(name, service_account=False)
        assert Change("ADDED", name) in changes


def test_without_the_right_to_watch_the_command_that_grants_it_is_said(
    apiserver: KubeApiServer, tmp_path: Path
) -> None:
    name = unique_namespace("watcher")
    apiserver.add_user(name)
    apiserver.grant(name, [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}])
    with (
        Cluster.from_kubeconfig(str(apiserver.kubeconfig(tmp_path / "kubeconfig", user=name))) as connection,
        pytest.raises(Forbidden, match=f"{name} may not watch secrets in the whole cluster") as failure,
    ):
        open_watch(connection)

    assert "--verb=watch --resource=secrets" in failure.value.grant[0]


@pytest.mark.parametrize("may_list", [False, True])
def test_a_cluster_without_kubeflow_has_no_profiles_and_nothing_is_forbidden(
    apiserver: KubeApiServer, real: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, may_list: bool
) -> None:
    # Of a group that nobody serves: another test may have made Kubeflow's Profiles on this server.
    unserved = replace(listing.PROFILES, api="unserved.example.com/v1")
    for module in (profiles, watching):
        monkeypatch.setattr(module, "PROFILES", unserved)
    monkeypatch.setitem(watching.WATCHED, "profiles", unserved)
    name = unique_namespace("watcher")
    apiserver.add_user(name)
    path = apiserver.kubeconfig(tmp_path / "kubeconfig", user=name)
    with Cluster.from_kubeconfig(str(path)) as connection, pytest.raises(NotFound):
        (real if may_list else connection).version_now("profiles")


def test_the_demo_tells_changes_without_values(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = wire(monkeypatch)
    with open_watch(cluster) as changes:
        cluster.create_secret("aa", "new", "Opaque", {"password": CANARY.encode()})
        assert next(iter(changes)) == Change("ADDED", "aa")

    assert b'"new"' in b"".join(seen)
    assert ENCODED.encode() not in b"".join(seen)


# What is no watch


def lines(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def event(version: str, namespace: str = "aa", type: str = "MODIFIED") -> dict[str, Any]:
    return {"type": type, "object": {"metadata": {"name": "x", "namespace": namespace, "resourceVersion": version}}}


def answer(demo: DemoCluster, body: bytes, content_type: str = "application/json") -> None:
    demo.faults.raw(body, content_type=content_type, path="watch=true")


def test_half_a_line_at_the_end_is_left_for_the_next_watch(demo: DemoCluster, cluster: Cluster) -> None:
    answer(demo, lines(event("101"), event("102")) + lines(event("103"))[:-30])
    with open_watch(cluster) as changes:
        assert len(list(changes)) == 2
    assert changes.version == "102"


NO_EVENTS = (b"<html>", b"{}", b"[]", b'{"type":1}', b"\xff\xfe", b"[" * 5000, b'{"type":"ADDED"}')


@pytest.mark.parametrize("line", NO_EVENTS)
def test_a_line_that_is_no_event_ends_the_watch_where_it_was(demo: DemoCluster, cluster: Cluster, line: bytes) -> None:
    answer(demo, lines(event("101")) + line + b"\n" + lines(event("102")))
    told = []
    with pytest.raises(Unavailable, match="no event of a watch") as failure, open_watch(cluster) as changes:
        told += list(changes)
    assert failure.value.kind == "body"
    assert changes.version == "101"


def test_a_sign_in_page_is_no_watch(demo: DemoCluster, cluster: Cluster) -> None:
    answer(demo, b"<html>Sign in</html>", "text/html")
    with pytest.raises(Unavailable, match="text/html"):
        open_watch(cluster)


def test_an_event_too_large_to_be_one_ends_the_watch(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LINE_LIMIT", 100_000)
    answer(demo, b'{"type":"' + b"a" * 500_000)
    with pytest.raises(Unavailable, match="too large"), open_watch(cluster) as changes:
        list(changes)


@pytest.mark.parametrize("name", ["", "..", "a" * 64, "UPPER", "nul\x00", "a/b", "naïve"])
def test_what_is_no_name_of_a_namespace_goes_no_further(demo: DemoCluster, cluster: Cluster, name: str) -> None:
    answer(demo, lines(event("101", name), event("102")))
    with open_watch(cluster) as changes:
        assert list(changes) == [Change("MODIFIED", "aa")]


@pytest.mark.parametrize(("code", "error"), [(410, Gone), (429, Throttled), (500, Unavailable), (403, Forbidden)])
def test_an_error_inside_a_watch_is_the_error_that_it_means(
    demo: DemoCluster, cluster: Cluster, code: int, error: type[Exception]
) -> None:
    status = {"kind": "Status", "code": code, "message": "too old resource version", "reason": "", "metadata": {}}
    answer(demo, lines(event("101"), {"type": "ERROR", "object": status}))
    with pytest.raises(error), open_watch(cluster) as changes:
        list(changes)
    assert changes.version == "101"


def test_a_version_that_the_server_forgot_is_gone(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.respond(410, path="watch=true")
    with pytest.raises(Gone):
        open_watch(cluster)


def test_a_refusal_says_when_to_come_back_and_is_not_tried_again(demo: DemoCluster, cluster: Cluster) -> None:
    fault = demo.faults.respond(429, path="watch=true", retry_after=7, times=None)
    with pytest.raises(Throttled) as failure:
        open_watch(cluster)
    assert failure.value.retry_after == 7
    assert fault.hits == 1


def test_a_watch_that_says_nothing_ends_by_itself(demo: DemoCluster, cluster: Cluster) -> None:
    with open_watch(cluster, silence=60) as changes:
        sock = changes._response.connection.sock
        assert sock.gettimeout() == 60
        sock.settimeout(0.2)  # now that it has begun, which may take its time
        assert list(changes) == []


def test_a_server_that_goes_away_is_an_error(demo: DemoCluster, cluster: Cluster) -> None:
    with open_watch(cluster) as changes:
        ending = threading.Thread(target=demo.stop)
        ending.start()
        with suppress(Unavailable):  # or it had the time to end in order
            list(changes)
        ending.join()
    with pytest.raises(Unavailable) as failure:
        cluster.version_now("secrets")
    assert failure.value.kind == "refused"


@pytest.mark.parametrize("which", ["cluster", "real"])
def test_another_thread_can_end_a_watch_that_waits(request: pytest.FixtureRequest, which: str) -> None:
    connection: Cluster = request.getfixturevalue(which)
    begun, told = threading.Event(), []

    def read(changes: Changes, done: Callable[[], None]) -> None:
        with changes:
            begun.set()
            told.extend(changes)
        done()

    done = threading.Event()
    changes = open_watch(connection, "rolebindings", seconds=300, silence=300)
    reader = threading.Thread(target=read, args=(changes, done.set))
    reader.start()
    assert begun.wait(30)
    changes.close()
    assert done.wait(30)
    reader.join()
    changes.close()
