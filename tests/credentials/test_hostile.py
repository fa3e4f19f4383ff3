"""Values that are large, deep or many cost little and raise nothing but `Unparsable`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import raw
from scanner.credential import Fingerprint, Unparsable, credential_kinds
from scanner.credentials.tls import MAX_CERTIFICATES
from scanner.expiry import MAX_TOKEN_BYTES, declared_expiry, read_token
from tests import oracles
from tests.credentials.test_cases import CASES
from tests.objects import namespace_objects

TYPES = [
    "Opaque",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/tls",
    "kubernetes.io/service-account-token",
]
KEYS = [".dockerconfigjson", ".dockercfg", "tls.crt", "token", "x"]
BLOCK = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def read_all(secret: raw.Secret) -> list[Any]:
    found: list[Any] = []
    for kind in credential_kinds().values():
        try:
            found += kind.read(secret, Fingerprint(b"test"))
        except Unparsable as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("secret_type", TYPES)
@pytest.mark.parametrize(
    "value",
    [
        b"\xff" * 10_000_000,
        b"eyJ" + b"A" * 10_000_000,
        b"e30." * 3_000_000,
        b"[" * 1_000_000,
        b'{"auths":' * 200_000,
        BLOCK * 20_000,
    ],
    ids=["bytes", "base64", "dots", "brackets", "objects", "certificates"],
)
def test_ten_megabytes_are_read_or_refused(secret_type: str, value: bytes) -> None:
    secret = raw.Secret(metadata=raw.ObjectMeta(name="s"), type=secret_type, data=dict.fromkeys(KEYS, value))

    for one in read_all(secret):
        assert len(repr(one)) < 2000


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=200)), st.text(max_size=40))
def test_any_bytes_are_read_or_refused(secret_type: str, data: dict[str, bytes], declared: str) -> None:
    metadata = raw.ObjectMeta(name="s", annotations={"credboard.dev/expires-at": declared})

    read_all(raw.Secret(metadata=metadata, type=secret_type, data=data))


def test_more_certificates_than_a_chain_has_are_not_read() -> None:
    data = {"tls.crt": BLOCK * (MAX_CERTIFICATES + 1)}
    secret = raw.Secret(metadata=raw.ObjectMeta(name="s"), type="kubernetes.io/tls", data=data)

    with pytest.raises(Unparsable, match="more than any chain has"):
        list(credential_kinds()["tls"].read(secret, Fingerprint(b"test")))


def test_a_keystore_whose_password_holds_a_zero_byte_is_not_opened() -> None:
    found = [case["secret"] for case in CASES["keystore"].values() if case.get("credentials")]
    for secret in namespace_objects([{"kind": "Secret", "metadata": {"name": "s"}, **one} for one in found]).secrets:
        data = {key: value if len(value) > 200 else value[:2] + b"\0" + value[2:] for key, value in secret.data.items()}

        read_all(msgspec.structs.replace(secret, data=data))


def test_a_value_too_long_for_a_token_is_none() -> None:
    assert read_token(b"eyJ" + b"a" * MAX_TOKEN_BYTES) is None


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_a_declared_time_comes_back_as_it_was_written(when: datetime) -> None:
    when = when.replace(tzinfo=UTC)

    assert declared_expiry({"credboard.dev/expires-at": when.isoformat()}) == when


ROWS = [row for row in oracles.rows("08-expiry.yaml", "decode_cases") if not isinstance(row, dict) or "host" in row]


@pytest.mark.parametrize("row", ROWS)
def test_a_registry_password_tells_the_end_that_the_table_says(row: dict[str, Any]) -> None:
    from scanner.credentials.docker_registry import build

    data = build({"server": row["host"], "username": row["username"], "password": row["value"]})
    secret = raw.Secret(metadata=raw.ObjectMeta(name="s"), type="kubernetes.io/dockerconfigjson", data=data)

    (found,) = credential_kinds()["docker-registry"].read(secret, Fingerprint(b"test"))

    assert (found.expires_at and found.expires_at.timestamp()) == row["expires"]


TOKENS = [
    row
    for row in oracles.rows("08-expiry.yaml", "decode_cases")
    if not isinstance(row, dict)
    or row["kind"] in ("jwt", "k8s_bound_sa_token", "k8s_legacy_sa_secret", "not_a_jwt", "jwe_or_other")
]


@pytest.mark.parametrize("row", TOKENS)
def test_a_token_tells_the_end_that_the_table_says(row: dict[str, Any]) -> None:
    token = read_token(row["value"].encode())

    if row["kind"] in ("not_a_jwt", "jwe_or_other"):
        assert token is None
        return
    assert token is not None
    assert not token.flaw
    expected = None if row["expires"] == "never" else datetime.fromtimestamp(0, UTC) + timedelta(seconds=row["expires"])
    assert token.expires_at == expected
