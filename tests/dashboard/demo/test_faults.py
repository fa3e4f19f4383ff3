from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from dashboard.demo.server import DemoCluster
from tests.dashboard.demo.client import Client

PODS = "/api/v1/pods"


@pytest.fixture(name="client")
def _client() -> Iterator[Client]:
    with DemoCluster(objects=[], kubelet=False) as cluster:
        yield Client(cluster)


def test_a_fault_acts_as_often_as_it_was_told(client: Client) -> None:
    fault = client.cluster.faults.respond(503, path="/pods", times=2)
    assert [client.get(PODS)[0] for _ in range(3)] == [503, 503, 200]
    assert (fault.hits, client.get("/api/v1/events")[0]) == (2, 200)


def test_too_many_requests_says_when_to_come_back(client: Client) -> None:
    client.cluster.faults.respond(429, retry_after=7)
    headers = {"Authorization": f"Bearer {client.cluster.token}"}
    with urllib3.PoolManager(retries=False) as pool:
        response = pool.request("GET", client.cluster.url + PODS, headers=headers)
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert response.json()["reason"] == "TooManyRequests"


def test_a_cut_answer_ends_in_the_middle(client: Client) -> None:
    client.cluster.faults.cut(path="/namespaces")
    with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.HTTPError)):
        client.get("/api/v1/namespaces")
    assert client.get("/api/v1/namespaces")[0] == 200


def test_who_hangs_is_answered_in_the_end_and_holds_nobody_else_up(client: Client) -> None:
    faults = client.cluster.faults
    short = faults.hang(0.01)
    assert (client.get(PODS)[0], short.hits) == (200, 1)
    long = faults.hang(600, path="/pods")
    with ThreadPoolExecutor() as people:
        waiting = people.submit(client.get, PODS)
        while not (long.hits or waiting.done()):
            time.sleep(0.02)
        assert client.get("/api/v1/events")[0] == 200
        assert not waiting.done()
        client.cluster.stop()
        waiting.exception(60)  # it has an answer, or the server was gone sooner


def test_other_faults_answer_nonsense_or_expire_a_page(client: Client) -> None:
    faults = client.cluster.faults
    faults.raw(b"<html>Sign in</html>")
    assert client.get(PODS)[1] == "<html>Sign in</html>"
    faults.expire_continue(path="/namespaces")
    page = client.get("/api/v1/namespaces?limit=1")[1]
    assert client.get(f"/api/v1/namespaces?limit=1&continue={page['metadata']['continue']}")[0] == 410
    faults.respond(500, times=None)
    faults.clear()
    assert client.get(PODS)[0] == 200


def test_requests_are_remembered(client: Client) -> None:
    client.get(f"{PODS}?limit=500")
    assert [(seen.method, seen.target) for seen in client.cluster.requests] == [("GET", f"{PODS}?limit=500")]
