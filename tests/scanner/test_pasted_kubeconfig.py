"""What a page takes of a kubeconfig, and what it refuses, without quoting a secret."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from scanner.cluster.kubeconfig import connect_text
from scanner.pasted_kubeconfig import LARGEST, BadKubeconfig, ManyContexts, take

SECRET = "canary-in-a-kubeconfig-77aa"
ENDS = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(ends: datetime = ENDS) -> str:
    return f"{part({'alg': 'none'})}.{part({'exp': int(ends.timestamp())})}.{SECRET}"


def certificate(ends: datetime) -> tuple[str, str]:
    """A client certificate and its key, as a kubeconfig has them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reader")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(ends - timedelta(days=365))
        .not_valid_after(ends)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(made.public_bytes(Encoding.PEM)).decode(), base64.b64encode(pem).decode()


def kubeconfig(
    *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, contexts: tuple[str, ...] = ("prod",)
) -> str:
    where = {"server": "https://api.example.com:6443", **(cluster or {})}
    who = {"token": SECRET} if user is None else user
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": contexts[0],
        "clusters": [{"name": "c", "cluster": where}],
        "users": [{"name": "reader", "user": who}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "reader"}} for name in contexts],
    }
    return yaml.safe_dump(document)


def test_what_may_be_told_of_it_is_told() -> None:
    access = take(kubeconfig(user={"token": token()})).access
    assert (access.context, access.server, access.user) == ("prod", "https://api.example.com:6443", "reader")
    assert access.expires_at == ENDS


def test_the_earlier_end_of_token_and_certificate_counts() -> None:
    pem, key = certificate(ENDS - timedelta(days=3))
    user = {"token": token(), "client-certificate-data": pem, "client-key-data": key}
    assert take(kubeconfig(user=user)).access.expires_at == ENDS - timedelta(days=3)


def test_a_token_that_says_no_end_has_none() -> None:
    assert take(kubeconfig()).access.expires_at is None


def test_one_of_several_contexts_must_be_chosen() -> None:
    text = kubeconfig(contexts=("prod", "test"))
    with pytest.raises(ManyContexts) as refused:
        take(text)
    assert refused.value.names == ("prod", "test")
    assert take(text, "test").access.context == "test"


def test_only_the_chosen_context_and_known_fields_are_kept() -> None:
    text = kubeconfig(contexts=("prod", "test"), cluster={"disable-compression": True}, user={"token": SECRET, "x": 1})
    document = yaml.safe_load(take(text, "test").text)
    assert [entry["name"] for entry in document["contexts"]] == ["test"]
    assert document["current-context"] == "test"
    assert document["users"] == [{"name": "reader", "user": {"token": SECRET}}]
    assert set(document["clusters"][0]["cluster"]) == {"server"}


def test_what_is_kept_can_be_connected_with() -> None:
    assert connect_text(take(kubeconfig()).text, "prod").server == "https://api.example.com:6443"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (kubeconfig(user={"exec": {"command": "/bin/sh", "args": [SECRET]}}), "running a command (exec)"),
        (kubeconfig(user={"token": SECRET, "exec": {"command": "sh"}}), "running a command (exec)"),
        (kubeconfig(user={"auth-provider": {"name": "oidc", "config": {"id-token": SECRET}}}), "auth-provider"),
        (kubeconfig(user={"tokenFile": f"/var/{SECRET}"}), "kubectl config view --raw --flatten --minify"),
        (kubeconfig(user={"client-certificate": "a.crt", "client-key": "a.key"}), "refers to a file"),
        (kubeconfig(cluster={"certificate-authority": "/etc/ca.crt"}), "refers to a file (certificate-authority)"),
        (kubeconfig(cluster={"certificate-authority-data": f"?{SECRET}"}), "not base64"),
        (kubeconfig(cluster={"insecure-skip-tls-verify": SECRET}), "neither true nor false"),
        (kubeconfig(cluster={"proxy-url": f"http://{SECRET}@proxy"}), "HTTPS_PROXY"),
        (kubeconfig(cluster={"server": "http://api.example.com"}), "not asked over https"),
        (kubeconfig(cluster={"server": "http://10.0.0.1:8080"}), "not asked over https"),
        (kubeconfig(cluster={"server": "https://169.254.169.254"}), "not one that an API server can have"),
        (kubeconfig(cluster={"server": "https://[fd00:ec2::254]"}), "not one that an API server can have"),
        (kubeconfig(cluster={"server": "https://[::ffff:169.254.169.254]"}), "not one that an API server can have"),
        (kubeconfig(cluster={"server": "https://0.0.0.0"}), "not one that an API server can have"),
        (kubeconfig(cluster={"server": "file:///etc/passwd"}), "no server with an address"),
        (kubeconfig(cluster={"server": f"https://ada:{SECRET}@api.example.com"}), "holds a user or password"),
        (kubeconfig(cluster={"server": 5}), "no server with an address"),
        (kubeconfig(cluster={"server": "https://[bad"}), "no server with an address"),
        (kubeconfig(user={"token": SECRET, "as": "root"}), "acts as somebody else"),
        (kubeconfig(user={"token": [SECRET]}), "is not text"),
        (kubeconfig(user={"client-certificate-data": "YQ=="}), "without its key"),
        (kubeconfig(user={}), "neither a token nor a client certificate"),
        ("", "It is empty."),
        (f"a: b: {SECRET}", "not valid YAML (line 1)"),
        (f"'{SECRET}'", "not a kubeconfig"),
        ("kind: Secret", "not a kubeconfig"),
        ("clusters: 3", "are not a list"),
        ("users: [{name: a}]", "not a list of named entries"),
        ("contexts: []", "no contexts"),
        ("contexts: [{name: a, context: {cluster: gone, user: b}}]", "entry of clusters that it does not have"),
        ("x" * (LARGEST + 1), "larger than 256 KiB"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_refused_is_refused_in_words_without_a_secret(given: str, words: str) -> None:
    with pytest.raises(BadKubeconfig) as refused:
        take(given)
    assert words in str(refused.value)
    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_a_server_on_this_machine_may_be_asked_over_http() -> None:
    for server in ("http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"):
        assert take(kubeconfig(cluster={"server": server})).access.server == server


def test_one_that_checks_nobody_says_so() -> None:
    assert take(kubeconfig(cluster={"insecure-skip-tls-verify": True})).access.is_unverified


def test_neither_it_nor_what_is_told_shows_the_secret() -> None:
    assert SECRET not in repr(take(kubeconfig()))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "cluster", "user", "context", "server", "token", "exec", "clusters", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["kind", "clusters", "users", "contexts", "current-context"]), _ANY))
def test_whatever_is_pasted_is_taken_or_refused_in_words(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document)
    try:
        told = take(text).access.server
    except BadKubeconfig as error:
        told = str(error)
    assert told.startswith(("It ", "Its ", "The ", "http"))
