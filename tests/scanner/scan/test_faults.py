"""What a cluster can do to a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner import scan as scanning
from scanner.models import Cluster, Namespace, Scan
from scanner.scan import scan_cluster, scan_namespace
from tests.rig.process import free_port
from tests.scanner.scan.builders import scan_all, statuses
from tests.scanner.verdicts import dump

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Fault:
    kind: str
    words: str
    inject: Callable[[DemoCluster, Cluster, pytest.MonkeyPatch], object]


def _server(url: Callable[[DemoCluster], str]) -> Callable[[DemoCluster, Cluster, pytest.MonkeyPatch], object]:
    def inject(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        path = Path(cluster.kubeconfig)
        path.write_text(path.read_text(encoding="utf-8").replace(demo.url, url(demo)), encoding="utf-8")

    return inject


def _unresolvable(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    _server(lambda _: "https://api.example.invalid:6443")(demo, cluster, monkeypatch)


def _silent(demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from scanner.cluster import Cluster as Api

    monkeypatch.setattr(scanning, "connect", lambda one: Api.from_kubeconfig(one.kubeconfig, read_timeout=0.3))
    demo.faults.hang(60, path="/secrets", times=None)


FAULTS = {
    "401": Fault("Unauthenticated", "does not accept", lambda d, _c, _m: d.faults.respond(401, times=None)),
    "403 of a proxy": Fault("Forbidden", "may not list", lambda d, _c, _m: d.faults.respond(403, times=None)),
    "404": Fault("NotFound", "Not found", lambda d, _c, _m: d.faults.respond(404, path="/pods", times=None)),
    "410": Fault("Gone", "expired", lambda d, _c, _m: d.faults.respond(410, path="/secrets", times=None)),
    "429": Fault("Throttled", "too many requests", lambda d, _c, _m: d.faults.respond(429, times=None, retry_after=60)),
    "500": Fault("Unavailable", "answered 500", lambda d, _c, _m: d.faults.respond(500, path="/pods", times=None)),
    "503": Fault("Unavailable", "answered 503", lambda d, _c, _m: d.faults.respond(503, times=None, retry_after=60)),
    "time-out": Fault("Unavailable", "sent nothing within 0.3 s", _silent),
    "TLS": Fault("Unavailable", "No trusted connection", _server(lambda d: d.url.replace("http:", "https:"))),
    "DNS": Fault("Unavailable", "cannot be resolved", _unresolvable),
    "refused": Fault("Unavailable", "Nothing accepts", _server(lambda _: f"http://127.0.0.1:{free_port()}")),
    "half a body": Fault("Unavailable", "broke off", lambda d, _c, _m: d.faults.cut(path="/secrets", times=None)),
    "a sign-in page": Fault("Unavailable", "not JSON", lambda d, _c, _m: d.faults.raw(b"<html>", times=None)),
    "no kubeconfig": Fault("BadConfiguration", "no kubeconfig", lambda _d, c, _m: Path(c.kubeconfig).unlink()),
    "a broken kubeconfig": Fault(
        "BadConfiguration", "not a kubeconfig", lambda _d, c, _m: Path(c.kubeconfig).write_text("[]", encoding="utf-8")
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_ends_the_scan_in_words_and_leaves_what_was_stored(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    scan_all(cluster)
    before = dump()
    fault.inject(demo, cluster, monkeypatch)
    failed = scan_all(cluster)
    assert (failed.state, failed.error_kind) == ("failed", fault.kind)
    assert fault.words in failed.error
    assert failed.remedy or fault.kind in {"NotFound", "BadConfiguration"}
    assert demo.token not in failed.error + failed.remedy
    assert bool(failed.finished_at)
    after = dump()
    assert after.pop("Scan")[:1] == before.pop("Scan")
    assert after == before
    assert Cluster.objects.get().lease_until is None


@pytest.mark.parametrize("name", ["401", "429", "500", "refused", "half a body", "no kubeconfig"])
def test_a_fault_ends_the_scan_of_one_namespace_in_words_and_leaves_what_was_stored(
    demo: DemoCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scan_all(cluster)
    row = Namespace.objects.select_related("cluster").get(name="team-b")
    before = dump()
    FAULTS[name].inject(demo, row.cluster, monkeypatch)
    done = Scan.objects.get(pk=scan_namespace(row).pk)
    after = dump()
    del after["Scan"], before["Scan"]
    if done.state == "failed":
        assert (done.error_kind, FAULTS[name].words in done.error) == (FAULTS[name].kind, True)
        assert after == before
    else:
        assert statuses()["team-b"] != "ok", "what could not be read is not fine"


def test_a_mistake_of_our_own_is_recorded_by_its_kind_only_and_raised(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> object:
        raise KeyError("s3cr3t")

    monkeypatch.setattr(scanning, "judge_all", stumble)
    with pytest.raises(KeyError):
        scan_cluster(cluster)
    failed = Scan.objects.get()
    assert (failed.state, failed.error_kind) == ("failed", "KeyError")
    assert "s3cr3t" not in failed.error
    assert Cluster.objects.get().lease_until is None
