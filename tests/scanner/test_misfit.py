"""Docker configs that the kubelet passes over, and the keys that they would have."""

from __future__ import annotations

import pytest

from scanner.credential import Fingerprint
from scanner.misfit import Misfit
from scanner.snapshot import build_snapshot
from tests.objects import namespace_objects

JSON, CFG = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"


def misfit(secret_type: str, **data: str) -> Misfit | None:
    secret = {
        "kind": "Secret",
        "metadata": {"name": "a"},
        "type": secret_type,
        "stringData": {f".{key}": text for key, text in data.items()},
    }
    return build_snapshot(namespace_objects([secret]), fingerprint=Fingerprint(b"test")).secrets["a"].misfit


@pytest.mark.parametrize(
    ("secret_type", "text", "keys"),
    [
        (JSON, '{"https://quay.io/v1/":{"auth":"Zm9vOmJhcg=="}}', ("quay.io",)),
        (JSON, '{"auths":{}}', ()),
        (JSON, "null", ()),
        (JSON, '{"credHelpers":{"gcr.io":"gcloud"}}', ()),
        (JSON, '{"auths":{"quay.io":{"identitytoken":"x"}}}', ("quay.io",)),
        (CFG, '{"auths":{"quay.io":{"auth":"Zm9vOmJhcg=="}}}', ("quay.io",)),
        (CFG, "{}", ()),
    ],
)
def test_a_form_that_gives_no_login_is_told_with_the_keys_it_would_have(
    secret_type: str, text: str, keys: tuple[str, ...]
) -> None:
    found = misfit(secret_type, **{secret_type.partition("/")[2]: text})

    assert found is not None
    assert found.keys == keys


def test_a_config_under_another_type_has_the_keys_it_would_have() -> None:
    found = misfit("Opaque", dockerconfigjson='{"auths":{"quay.io/team":{"username":"u","password":"hunter2"}}}')

    assert found is not None
    assert found.keys == ("quay.io/team",)
    assert JSON in found.words
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("text", ["eyJhdXRocyI6e319", '{"auths":{"x":"oops"}}', "\x00", "[" * 5000])
def test_what_cannot_be_read_under_another_type_has_no_keys(text: str) -> None:
    found = misfit("Opaque", dockerconfigjson=text)

    assert found is not None
    assert found.keys == ()


def test_what_fits_and_what_is_no_docker_config_is_no_misfit() -> None:
    login = '{"username":"u","password":"p"}'
    assert misfit(JSON, dockerconfigjson=f'{{"auths":{{"quay.io":{login}}},"credsStore":"x"}}') is None
    assert misfit(CFG, dockercfg='{"quay.io":{"auth":"Zm9vOmJhcg=="}}') is None
    assert misfit("Opaque", npmrc="x") is None
