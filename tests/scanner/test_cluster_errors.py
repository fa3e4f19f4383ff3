"""What `Cluster` makes of everything that can go wrong between it and an API server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.demo.server import DemoCluster
from scanner.cluster import (
    BadConfiguration,
    Cluster,
    ClusterError,
    Forbidden,
    Gone,
    Invalid,
    Throttled,
    Unauthenticated,
    Unavailable,
    listing,
    without_addresses,
)
from tests.rig.certificates import CertificateAuthority
from tests.rig.process import free_port

CANARY = "hunter2-canary-value"


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(where: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": where}, "type": "Opaque"}


OBJECTS = [namespace("aa"), namespace("aa-b"), *(secret(ns, f"s{i}") for ns in ("aa", "aa-b") for i in range(5))]


@pytest.fixture
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def cluster(demo: DemoCluster, tmp_path: Path, waits: list[float]) -> Iterator[Cluster]:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    with Cluster.from_kubeconfig(str(path), connect_timeout=2, read_timeout=0.5) as connection:
        connection._transport._pause = waits.append
        yield connection


def kubeconfig(server: str, **extra: Any) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": server, **extra}}],
            "users": [{"name": "u", "user": {"token": CANARY}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


def unavailable(connection: Cluster) -> Unavailable:
    with connection, pytest.raises(Unavailable) as failure:
        connection.namespace_names()
    assert CANARY not in f"{failure.value!r}{failure.value.remedy}"
    assert connection.server in str(failure.value)
    return failure.value


def secrets_of(cluster: Cluster) -> dict[str, list[str]]:
    found = cluster.namespaces(include=["aa*"])
    return {one.namespace.metadata.name: [s.metadata.name for s in one.secrets] for one in found}


ALL = {ns: [f"s{i}" for i in range(5)] for ns in ("aa-b", "aa")}


# Refusals


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


# Too much, too late


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


def test_a_silent_server_times_out(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.hang(2, path="namespaces")

    assert unavailable(cluster).kind == "timeout"


# Lists that break


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)


@pytest.mark.usefixtures("small_pages")
def test_an_expired_list_is_read_again_without_what_was_read_already(demo: DemoCluster, cluster: Cluster) -> None:
    fault = demo.faults.expire_continue(path="/secrets", times=2)

    assert secrets_of(cluster) == ALL
    assert fault.hits == 2


def test_an_expired_list_goes_on_with_the_token_of_the_410(demo: DemoCluster, cluster: Cluster) -> None:
    def item(name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "aa"}}

    gone = {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {"continue": "newer"}}
    for path, code, body in (
        ("/secrets.*continue=newer", 200, page(item("s2"))),
        ("/secrets.*continue=older", 410, json.dumps(gone).encode()),
        ("/secrets", 200, page(item("s1"), **{"continue": "older"})),
    ):
        demo.faults.raw(body, code=code, content_type="application/json", path=path)

    assert secrets_of(cluster) == {"aa-b": [], "aa": ["s1", "s2"]}


@pytest.mark.usefixtures("small_pages")
def test_a_list_that_expires_at_every_page_fails(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.expire_continue(path="/secrets", times=None)

    with pytest.raises(Gone):
        secrets_of(cluster)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("code", [403, 500])
def test_a_list_that_breaks_off_halfway_fails(demo: DemoCluster, cluster: Cluster, code: int) -> None:
    demo.faults.respond(code, path="/secrets.*continue=", times=None)

    with pytest.raises(ClusterError):
        secrets_of(cluster)


@pytest.mark.parametrize("resource", ["events", "rolebindings"])
def test_what_a_scan_can_do_without_is_named_when_it_fails(demo: DemoCluster, cluster: Cluster, resource: str) -> None:
    demo.faults.respond(500, path=f"/{resource}", times=None)

    wide, alone = next(cluster.namespaces(include=["aa"])), cluster.namespace("aa")

    assert list(wide.unreadable) == list(alone.unreadable) == [resource]
    assert "500" in wide.unreadable[resource]
    assert len(wide.secrets) == len(alone.secrets) == 5


@pytest.mark.parametrize("served", [False, True])
def test_profiles_that_may_not_be_read_are_only_missed_where_kubeflow_is(
    demo: DemoCluster, cluster: Cluster, served: bool
) -> None:
    demo.faults.respond(
        403, path="/profiles", times=None, message='profiles is forbidden: User "u" cannot list resource "profiles"'
    )
    if not served:
        demo.faults.raw(b"404 page not found\n", code=404, content_type="text/plain", path="/v1$", times=None)

    wide, alone = next(cluster.namespaces(include=["aa"])), cluster.namespace("aa")

    assert wide.unreadable == alone.unreadable == ({"profiles": "forbidden"} if served else {})


def test_without_kubeflow_there_are_no_profiles(demo: DemoCluster, cluster: Cluster) -> None:
    page = b"404 page not found\n"
    demo.faults.raw(page, code=404, content_type="text/plain", path="/profiles", times=None)

    assert next(cluster.namespaces(include=["aa"])).unreadable == {}
    assert cluster.namespace("aa").unreadable == {}


BAD_SECRET = {"metadata": {"name": "odd", "namespace": "aa"}, "data": {"k": 7}}
GOOD_SECRET = {"metadata": {"name": "fine", "namespace": "aa-b"}, "data": {"k": ""}}


def page(*items: Any, kind: str = "SecretList", **metadata: Any) -> bytes:
    return json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}).encode()


def test_an_object_that_cannot_be_decoded_makes_only_its_own_namespace_unreadable(
    demo: DemoCluster, cluster: Cluster
) -> None:
    demo.faults.raw(page(GOOD_SECRET, BAD_SECRET), content_type="application/json", path="/secrets", times=None)

    found = {one.namespace.metadata.name: one for one in cluster.namespaces(include=["aa*"])}

    assert [s.metadata.name for s in found["aa-b"].secrets] == ["fine"]
    assert found["aa-b"].unreadable == {}
    assert found["aa"].secrets == []
    assert found["aa"].unreadable == {"secrets": "the Secret 'odd' is not as the Kubernetes API defines it"}
    assert list(cluster.namespace("aa").unreadable) == ["secrets"]


def test_a_namespace_that_cannot_be_decoded_is_still_read(demo: DemoCluster, cluster: Cluster) -> None:
    bad = {"metadata": {"name": "aa", "labels": 7}}
    answer = page(bad, {"metadata": {"name": "aa-b"}}, kind="NamespaceList")
    demo.faults.raw(answer, content_type="application/json", path="/api/v1/namespaces[?]", times=None)

    found = {one.namespace.metadata.name: one for one in cluster.namespaces()}

    assert list(found) == ["aa-b", "aa"]
    assert len(found["aa"].secrets) == 5
    assert list(found["aa"].unreadable) == ["namespaces"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b"",
        b"\xff\xfe",
        b'{"kind": "SecretList", "metadata": {}, "items": [',
        b'{"kind": "SecretList", "metadata": {}, "items": [{"metadata": 7}]}',
        b'{"kind": "SecretList", "items": []}',
        b'{"kind": "Status", "metadata": {}, "status": "Success"}',
        page(kind="PodList"),
        b'{"kind": "SecretList", "metadata": {}, "items": [' + b'{"x":' * 100_000,
    ],
)
def test_what_is_no_list_is_never_an_empty_one(demo: DemoCluster, cluster: Cluster, body: bytes) -> None:
    demo.faults.raw(body, content_type="application/json", path="/secrets", times=None)

    with pytest.raises(Unavailable) as failure:
        secrets_of(cluster)

    assert failure.value.kind == "body"


def test_a_list_that_is_not_in_order_fails_instead_of_losing_objects(demo: DemoCluster, cluster: Cluster) -> None:
    first = {"metadata": {"name": "s", "namespace": "aa"}}
    demo.faults.raw(page(first, GOOD_SECRET), content_type="application/json", path="/secrets", times=None)

    with pytest.raises(Unavailable, match="not in the order"):
        secrets_of(cluster)


def test_the_sign_in_page_of_a_proxy_is_not_a_kubernetes_api(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"<html>Sign in</html>", path="namespaces", times=None)

    failure = unavailable(cluster)

    assert (failure.kind, "text/html" in str(failure)) == ("body", True)


def test_a_redirect_is_not_followed(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"", code=302, path="namespaces", times=None)

    assert unavailable(cluster).kind == "body"


def test_a_404_that_kubernetes_did_not_send_does_not_make_a_namespace_gone(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.raw(b"<html>nothing here</html>", code=404, path="namespaces/aa", times=None)

    with pytest.raises(Unavailable):
        cluster.namespace("aa")


def test_half_a_body_is_read_again_and_then_given_up(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.cut(path="/secrets", times=1)
    assert secrets_of(cluster) == ALL

    fault = demo.faults.cut(path="/secrets", times=None)
    with pytest.raises(Unavailable) as failure:
        secrets_of(cluster)

    assert (failure.value.kind, fault.hits) == ("body", 3)


# No connection


def test_a_port_where_nobody_listens_refuses() -> None:
    assert unavailable(Cluster.from_kubeconfig_text(kubeconfig(f"http://127.0.0.1:{free_port()}"))).kind == "refused"


def test_a_name_that_does_not_resolve_is_a_dns_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert unavailable(Cluster.from_kubeconfig_text(kubeconfig("https://api.example.invalid:6443"))).kind == "dns"


def test_a_certificate_of_a_stranger_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = CertificateAuthority(tmp_path / "ours"), CertificateAuthority(tmp_path / "theirs")
    pair = theirs.server("apiserver")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"
        failure = unavailable(
            Cluster.from_kubeconfig_text(kubeconfig(url, **{"certificate-authority": str(ours.ca_file)}))
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert (failure.kind, "certificate" in str(failure)) == ("tls", True)


@pytest.mark.parametrize("server", ["https://[::1:6443", "api.example.com:6443", "https://", "file:///etc", ""])
def test_a_server_that_is_no_address_is_bad_configuration(server: str) -> None:
    with pytest.raises(BadConfiguration, match="address"):
        Cluster.from_kubeconfig_text(kubeconfig(server))


def test_nothing_shows_the_token(cluster: Cluster) -> None:
    with Cluster.from_kubeconfig_text(kubeconfig("http://127.0.0.1:1")) as connection:
        assert CANARY not in f"{connection!r} {connection._transport!r}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("https://10.0.0.1:6443 answered 500 (list pods).", "The API server answered 500 (list pods)."),
        ("Nothing listens at https://k8s.example.com (get x).", "Nothing listens at the API server (get x)."),
        ("The server https://k8s.example.com is gone.", "The API server is gone."),
        ("failed: dial tcp [fd00::1]:443: refused", "failed: dial tcp an address: refused"),
        ("Credboard may not list pods.", "Credboard may not list pods."),
    ],
)  # fmt: skip
def test_words_for_owners_hold_no_address(words: str, told: str) -> None:
    assert without_addresses(words) == told


def test_what_is_stored_of_a_failed_list_holds_no_address(demo: DemoCluster, cluster: Cluster) -> None:
    demo.faults.respond(500, path="/rolebindings", times=None)
    demo.faults.respond(500, path="/profiles", times=None)
    for found in (next(cluster.namespaces(include=["aa"])), cluster.namespace("aa")):
        assert set(found.unreadable) == {"rolebindings", "profiles"}
        assert all("API server answered 500" in why and "127.0.0.1" not in why for why in found.unreadable.values())
