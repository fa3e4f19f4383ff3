"""No connection, or one to a stranger; and that nothing shows token or address."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dashboard.demo.server import DemoCluster
from scanner.cluster import BadConfiguration, Cluster, without_addresses
from tests.rig.certificates import CertificateAuthority
from tests.rig.process import free_port
from tests.scanner.cluster_errors.builders import CANARY, kubeconfig, unavailable


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


def test_a_list_that_is_still_read_when_the_cluster_is_closed_leaves_no_connection_open(cluster: Cluster) -> None:
    cluster.close()

    assert "aa" in cluster.namespace_names()

    assert len(cluster._transport._client.rest_client.pool_manager.pools) == 0


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
