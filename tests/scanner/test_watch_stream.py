"""One watched resource and everything that happens to it: what is told, what is waited for, where it goes on."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.server import DemoCluster
from scanner import cluster as api
from scanner.watch.stream import ResourceWatch, Timing

PATIENCE = 180  # seconds, on a machine that does other things as well
QUICK = Timing(lifetime=20, silence=20, back_off=0.02, longest_back_off=0.1, refused=0.05, absent=0.05, shortest=0)
OBJECTS = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("aa", "bb")]


class Told:
    """What a watch reports, and the connection that it gets."""

    def __init__(self, connect: Callable[[], api.Cluster]) -> None:
        self._connect = connect
        self.changes: list[str] = []
        self.times_missed = 0
        self.times_refused = 0
        self.given: api.Cluster | None = connect()

    def connection(self) -> api.Cluster | None:
        return self.given

    def changed(self, resource: str, change: api.Change) -> None:
        self.changes.append(change.namespace)

    def missed(self) -> None:
        self.times_missed += 1

    def refused(self) -> None:
        self.times_refused += 1
        self.given = self._connect()


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture
def kubeconfig(demo: DemoCluster, tmp_path: Path) -> Path:
    return demo.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def told(kubeconfig: Path) -> Told:
    return Told(lambda: api.Cluster.from_kubeconfig(str(kubeconfig), read_timeout=PATIENCE))


@pytest.fixture
def begin(told: Told) -> Iterator[Callable[..., ResourceWatch]]:
    begun: list[ResourceWatch] = []

    def begin(resource: str = "secrets", timing: Timing = QUICK, **options: Any) -> ResourceWatch:
        watch = ResourceWatch(resource, told, cluster="prod", timing=timing, **options)
        begun.append(watch)
        watch.start()
        return watch

    yield begin
    for watch in begun:
        watch.end()
    for watch in begun:
        watch.join(PATIENCE)
        assert not watch.is_alive()


def wait_for(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def write(demo: DemoCluster, name: str, namespace: str = "aa") -> None:
    demo.api.load({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}})


def watches(demo: DemoCluster) -> list[str]:
    """The version that each watch of Secrets started from."""
    found = (re.search(r"/secrets\?.*resourceVersion=(\d+)", seen.target) for seen in list(demo.requests))
    return [match[1] for match in found if match]


def lists(demo: DemoCluster) -> int:
    return sum("/secrets?limit=1" in seen.target for seen in list(demo.requests))


Begin = Callable[..., ResourceWatch]


def test_changes_are_reported_and_the_next_watch_goes_on_from_the_last(
    demo: DemoCluster, told: Told, begin: Begin
) -> None:
    begin(timing=Timing(lifetime=1, shortest=0))
    wait_for(lambda: told.times_missed == 1)
    write(demo, "one")
    wait_for(lambda: told.changes == ["aa"])
    wait_for(lambda: len(watches(demo)) >= 3)
    write(demo, "two", "bb")
    wait_for(lambda: told.changes == ["aa", "bb"])

    assert lists(demo) == 1
    assert told.times_missed == 1


@pytest.mark.parametrize("code", [500, 503, 504])
def test_a_server_that_fails_is_asked_again_and_nothing_is_missed(
    demo: DemoCluster, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    begin(timing=Timing(lifetime=1, back_off=0.02, longest_back_off=0.1, shortest=0))
    wait_for(lambda: told.times_missed == 1)
    fault = demo.faults.respond(code, path="watch=true", times=3)
    wait_for(lambda: fault.hits == 3)
    write(demo, "meanwhile")
    wait_for(lambda: told.changes == ["aa"])

    assert lists(demo) == 1
    lines = [record.getMessage() for record in caplog.records if record.name == "scanner.watch"]
    assert len(lines) == 2, lines
    assert lines[0].startswith("prod, secrets: Not watched for now, so changes are found by the next scan")
    assert f"answered {code} (watch secrets)" in lines[0]
    assert lines[1] == "prod, secrets: watched again"


def test_a_forgotten_version_starts_anew_and_says_that_something_may_be_missed(
    demo: DemoCluster, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    demo.faults.respond(410, path="watch=true")
    begin()
    wait_for(lambda: told.times_missed == 1)

    assert lists(demo) == 2
    assert not caplog.records


def test_a_refusal_is_said_once_with_the_command_that_grants_it_until_it_is_granted(
    demo: DemoCluster, tmp_path: Path, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    path = demo.kubeconfig(tmp_path / "grace.kubeconfig", token=demo.add_user("grace"))
    told.given = api.Cluster.from_kubeconfig(str(path))
    begin()
    wait_for(lambda: lists(demo) >= 4)
    assert told.times_missed == 0
    lines = [record.getMessage() for record in caplog.records if record.name == "scanner.watch"]
    assert len(lines) == 1, lines
    assert "grace may not list secrets in the whole cluster" in lines[0]
    assert "kubectl create clusterrole" in lines[0]

    told.given = told._connect()
    wait_for(lambda: told.times_missed == 1)
    assert caplog.records[-1].getMessage() == "prod, secrets: watched again"


def test_too_many_requests_are_answered_by_patience(demo: DemoCluster, told: Told, begin: Begin) -> None:
    waits: list[float] = []
    watch = ResourceWatch("secrets", told, cluster="prod", timing=QUICK)
    demo.faults.respond(429, path="watch=true", retry_after=17, times=2)
    demo.faults.respond(429, path="watch=true", retry_after=99_999, times=1)
    waits += [watch._once() for _ in range(3)]

    # As long as it says, but not for ever.
    assert waits == [17, 17, QUICK.longest_wait]


def test_waits_grow_and_are_never_alike(demo: DemoCluster, told: Told) -> None:
    demo.faults.respond(500, path="watch=true", times=None)
    timing = Timing(back_off=1, longest_back_off=60)
    steady = ResourceWatch("secrets", told, cluster="prod", timing=timing, chance=lambda: 0.0)
    assert [steady._once() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    lucky = ResourceWatch("secrets", told, cluster="prod", timing=timing, chance=lambda: 1.0)
    assert [lucky._once() for _ in range(3)] == [0.5, 1, 2]


def test_a_proxy_that_ends_watches_at_once_is_not_asked_without_pause(demo: DemoCluster, told: Told) -> None:
    demo.faults.raw(b"", content_type="application/json", path="watch=true", times=None)
    watch = ResourceWatch("secrets", told, cluster="prod", timing=Timing(), chance=lambda: 0.0)
    assert [watch._once() for _ in range(4)] == [1, 2, 4, 8]
    demo.faults.clear()
    demo.faults.raw(
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"99"}}}\n', content_type="application/json"
    )
    assert watch._once() == 0


def test_a_place_where_the_stream_always_breaks_is_left_out_in_the_end(demo: DemoCluster, told: Told) -> None:
    demo.faults.raw(b"<html>\n", content_type="application/json", path="watch=true", times=3)
    watch = ResourceWatch("secrets", told, cluster="prod", timing=Timing(lifetime=1, shortest=0))
    for _ in range(4):
        watch._once()

    assert lists(demo) == 2
    assert told.times_missed == 2


def test_a_token_that_is_no_longer_accepted_is_read_anew(
    demo: DemoCluster, kubeconfig: Path, told: Told, begin: Begin
) -> None:
    begin(timing=Timing(lifetime=1, back_off=0.02, shortest=0))
    wait_for(lambda: told.times_missed == 1)
    renewed = demo.add_user("renewed", ["system:masters"])
    demo.api._tokens.pop(demo.token)
    wait_for(lambda: told.times_refused)
    demo.kubeconfig(kubeconfig, token=renewed)
    write(demo, "meanwhile")
    wait_for(lambda: told.changes == ["aa"])

    assert lists(demo) == 1


def test_a_server_that_is_restarted_is_watched_again(
    demo: DemoCluster, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    begin()
    wait_for(lambda: told.times_missed == 1)
    port = int(demo.url.rpartition(":")[2])
    demo.stop()
    wait_for(lambda: any("Nothing accepts connections" in record.getMessage() for record in caplog.records))
    write(demo, "meanwhile")
    demo._port = port
    demo.start()
    wait_for(lambda: told.changes == ["aa"])

    assert lists(demo) == 1


def test_a_cluster_without_profiles_is_nothing_to_speak_of(
    demo: DemoCluster, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    fault = demo.faults.raw(b"404 page not found\n", code=404, content_type="text/plain", path="profiles", times=None)
    begin("profiles")
    wait_for(lambda: fault.hits >= 3)

    assert not caplog.records


def test_without_a_connection_it_waits_for_one(demo: DemoCluster, told: Told, begin: Begin) -> None:
    given, told.given = told.given, None
    begin()
    told.given = given
    wait_for(lambda: told.times_missed == 1)


def test_a_mistake_of_ours_is_logged_and_does_not_end_the_watch(
    demo: DemoCluster, told: Told, begin: Begin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumbles = iter([ZeroDivisionError(), None])
    missed = told.missed

    def stumble() -> None:
        error = next(stumbles, None)
        if error:
            raise error
        missed()

    monkeypatch.setattr(told, "missed", stumble)
    begin()
    wait_for(lambda: told.times_missed == 1)

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "the watch failed and is opened again" in caplog.text


def test_one_that_waits_for_an_answer_ends_when_it_comes(demo: DemoCluster, told: Told) -> None:
    fault = demo.faults.hang(1, path="watch=true")
    watch = ResourceWatch("secrets", told, cluster="prod", timing=QUICK)
    watch.start()
    wait_for(lambda: fault.hits)
    watch.end()
    watch.join(PATIENCE)

    assert not watch.is_alive()
    assert watch.name not in {thread.name for thread in threading.enumerate()}
