"""New Secrets, against what kubectl writes and what the kubelet can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from scanner.credential import Unparsable
from scanner.credentials import docker_registry, tls
from tests import oracles
from tests.credentials.test_cases import CASES

KEY = ".dockerconfigjson"


@pytest.mark.parametrize("row", oracles.rows("07-secrets.yaml", "kubectl_outputs"))
def test_a_pull_secret_is_what_kubectl_writes_byte_for_byte(row: dict[str, Any]) -> None:
    values = {name: row[name] for name in ("server", "username", "password", "email")}

    assert docker_registry.build(values) == {KEY: row["json"].encode()}


@pytest.mark.parametrize("missing", ["server", "username", "password"])
def test_a_pull_secret_needs_registry_user_name_and_password(missing: str) -> None:
    values = {"server": "quay.io", "username": "u", "password": "hunter2", missing: ""}

    with pytest.raises(Unparsable, match="Fill in"):
        docker_registry.build(values)


def test_a_pasted_config_is_kept_as_it_is() -> None:
    pasted = '{"auths": {"quay.io": {"auth": "Zm9vOmJhcg=="}}, "credsStore": "desktop"}\n'

    assert docker_registry.build({"config_json": pasted, "registry": "quay.io"}) == {KEY: pasted.encode()}


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ('{"auths":{"quay.io":{}},"credsStore":"osxkeychain"}', "credsStore"),
        ('{"credHelpers":{"gcr.io":"gcloud"}}', "credHelpers"),
        ('{"auths":{}}', "holds no entry"),
        ('{"quay.io":{"auth":"Zm9vOmJhcg=="}}', "holds no entry"),
        (base64.b64encode(b'{"auths":{}}').decode(), r"Paste it decoded \(base64 -d\)"),
        (
            base64.encodebytes(b'{\n  "auths": {"quay.io": {"auth": "Zm9vOmJhcg=="}}\n}' * 3).decode(),
            "Paste it decoded",
        ),
        ("kind: Secret\ndata:\n  .dockerconfigjson: eyJhdXRocyI6e319\n", "Paste only the value"),
        ('{"kind": "Secret", "data": {".dockerconfigjson": "eyJhdXRocyI6e319"}}', "Paste only the value"),
        ('{"auths":{"quay.io":{"auth":"pants"}}}', "base64"),
        ('{"auths":{"quay.io":{"identitytoken":"hunter2"}}}', "identitytoken"),
        ('{"auths":{"quay.io ":{"auth":"Zm9vOmJhcg=="}}}', "None of its entries"),
        ("{" * 100_000, "could not read"),
        ('{"auths":' * 100_000, "could not read"),
        ("not json", "not valid JSON"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_a_pasted_config_that_no_kubelet_could_use_is_refused_in_plain_words(pasted: str, words: str) -> None:
    with pytest.raises(Unparsable, match=words) as refused:
        docker_registry.build({"config_json": pasted})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "registry", "covers"),
    [
        ("quay.io", "quay.io", True),
        ("quay.io/team", "quay.io", True),
        ("https://index.docker.io/v1/", "docker.io", True),
        ("docker.io", "docker.io", True),
        ("*.example.com", "harbor.example.com", True),
        ("harbor.example.com:443", "harbor.example.com", False),
        ("https://index.docker.io/v1/", "quay.io", False),
        ("registry-1.docker.io", "docker.io", False),
    ],
)
def test_the_registry_at_hand_must_be_among_the_entries(key: str, registry: str, covers: bool) -> None:
    values = {"config_json": json.dumps({"auths": {key: {"auth": "Zm9vOmJhcg=="}}}), "registry": registry}

    if covers:
        assert docker_registry.build(values)
    else:
        with pytest.raises(Unparsable, match=f"for {registry}"):
            docker_registry.build(values)


def test_a_tls_secret_holds_chain_and_key_as_typed() -> None:
    chain = CASES["tls"]["a_chain_ends_with_the_first_of_it"]["secret"]["stringData"]["tls.crt"]
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"

    assert tls.build({"certificate": chain, "key": key}) == {"tls.crt": chain.encode(), "tls.key": key.encode()}


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("", "-----BEGIN PRIVATE KEY-----", "tls.crt is empty"),
        ("x", "-----BEGIN ENCRYPTED PRIVATE KEY-----", "pass phrase"),
        ("x", "", "Paste the private key"),
    ],
)
def test_a_tls_secret_that_nothing_could_use_is_refused(certificate: str, key: str, words: str) -> None:
    with pytest.raises(Unparsable, match=words):
        tls.build({"certificate": certificate, "key": key})
