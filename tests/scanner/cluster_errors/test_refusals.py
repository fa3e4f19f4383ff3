"""Refusals, and servers that answer too much or too late."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import Cluster, ClusterError, Forbidden, Invalid, Throttled, Unauthenticated, Unavailable
from tests.scanner.cluster_errors.builders import CANARY, unavailable


def test_a_token_that_is_not_accepted_is_said_to_be_so(demo: DemoCluster, tmp_path: Path) -> None:
    path = demo.kubeconfig(tmp_path / "kubeconfig", token=CANARY)

    with Cluster.from_kubeconfig(str(path)) as connection, pytest.raises(Unauthenticated) as failure:
        connection.namespace_names()

    assert failure.value.status == 401
    assert CANARY not in f"{failure.value!r}{failure.value.remedy}"


def test_a_refusal_that_is_not_by_rbac_promises_no_role(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"<html>Blocked by policy</html>", code=403, path="namespaces")

    with pytest.raises(Forbidden) as failure:
        cluster.namespace_names()

    assert failure.value.grant == ()
    assert "html" not in str(failure.value)
    assert failure.value.remedy


def test_a_message_of_the_server_is_cut_and_its_control_characters_are_dropped(
    demo: DemoCluster, cluster: Cluster
) -> None:
    demo.faults.respond(500, message="\x1b[31mred\u202e" + "x" * 1000)

    with pytest.raises(Unavailable) as failure:
        cluster.namespace_names()

    assert failure.value.kind == "server"
    assert "[31mred" in str(failure.value)
    assert "\x1b" not in str(failure.value)
    assert "\u202e" not in str(failure.value)
    assert len(str(failure.value)) < 400


@pytest.mark.parametrize("code", [400, 403, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("form", ["{}", "cannot decode: {}…", "bigger context: {}"])
def test_no_answer_to_a_write_gives_the_value_away(demo: DemoCluster, cluster: Cluster, code: int, form: str) -> None:
    encoded = b64encode(CANARY.encode()).decode()
    for quoted in (CANARY, CANARY[3:14], encoded, encoded[4:16]):
        demo.faults.clear()
        demo.faults.respond(code, method="POST", message=form.format(quoted), times=None)
        with pytest.raises(ClusterError) as failure:
            cluster.create_secret("aa", "made", "Opaque", {"password": CANARY.encode()})
        assert quoted not in f"{failure.value!r} {failure.value.remedy} {getattr(failure.value, 'causes', '')}"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../secrets", "%2e%2e"])
def test_a_name_that_would_lead_elsewhere_is_never_sent(demo: DemoCluster, cluster: Cluster, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: cluster.delete_secret("aa", name, "uid"),
        lambda: cluster.delete_pod("aa", name),
        lambda: cluster.link_pull_secret("aa", name, "s"),
        lambda: cluster.namespace(name),
    ]
    if name:
        calls += [lambda: cluster.service_accounts(name), lambda: cluster.create_secret(name, "x", "Opaque", {})]
    for call in calls:
        with pytest.raises(Invalid):
            call()
    with pytest.raises(Invalid):
        cluster.create_secret("", "x", "Opaque", {})
    assert not demo.requests


def test_retry_after_is_obeyed(demo: DemoCluster, cluster: Cluster, waits: list[float]) -> None:
    demo.faults.respond(429, retry_after=7, times=2)

    assert "aa" in cluster.namespace_names()
    assert waits == [7, 7]


def test_a_server_that_asks_for_too_long_a_wait_is_left_alone(
    demo: DemoCluster, cluster: Cluster, waits: list[float]
) -> None:
    demo.faults.respond(429, retry_after=20, times=None)

    with pytest.raises(Throttled) as failure:
        cluster.namespace_names()

    assert (waits, failure.value.retry_after) == ([20], 20)


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a_read_outlives_a_gateway_without_a_server(
    demo: DemoCluster, cluster: Cluster, waits: list[float], code: int
) -> None:
    demo.faults.respond(code, times=2)

    assert "aa" in cluster.namespace_names()
    assert waits == sorted(waits)


def test_a_failing_server_is_not_asked_for_ever(demo: DemoCluster, cluster: Cluster) -> None:
    fault = demo.faults.respond(503, times=None)

    with pytest.raises(Unavailable) as failure:
        cluster.namespace_names()

    assert (failure.value.kind, failure.value.status, fault.hits) == ("server", 503, 3)


def test_a_write_is_not_repeated_when_it_may_have_been_done(demo: DemoCluster, cluster: Cluster) -> None:
    fault = demo.faults.respond(503, method="POST", times=None)

    with pytest.raises(Unavailable):
        cluster.create_secret("aa", "made", "Opaque", {})

    assert fault.hits == 1


def test_a_silent_server_times_out(demo: DemoCluster, tmp_path: Path) -> None:
    demo.faults.hang(60, path="namespaces", times=None)
    path = demo.kubeconfig(tmp_path / "kubeconfig")

    assert unavailable(Cluster.from_kubeconfig(str(path), read_timeout=0.3)).kind == "timeout"
