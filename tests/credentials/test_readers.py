"""Files of strangers: whatever is in them, a reader answers soon, says `Unparsable` at most, and repeats no value."""

from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, credential_kinds
from scanner.form import forms_of
from scanner.jks import read_jks
from scanner.pem import BadCertificates, public_half, read_pem
from scanner.pkcs12 import MAX_ROUNDS, read_pkcs12
from scanner.small_yaml import MAX_BYTES, TooMuch, read_yaml
from tests.credentials.test_cases import CASES
from tests.objects import namespace_objects

CANARY = "hunter2-canary-hunter2"
TYPES = sorted({t for kind in credential_kinds().values() for t in kind.secret_types} - {"*"})


def seeds() -> Iterator[bytes]:
    """The values of all cases, whole."""
    for slug in CASES:
        for case in CASES[slug].values():
            secret = namespace_objects([{"kind": "Secret", "metadata": {"name": "s"}, **case["secret"]}]).secrets[0]
            yield from (secret.data or {}).values()


SEEDS = sorted(set(seeds()))
KEYS = [
    ".dockerconfigjson",
    ".dockercfg",
    "tls.crt",
    "tls.key",
    "ca.crt",
    "token",
    "keystore.p12",
    "password",
    "expiry",
]
KEYS += ["username", "expiration", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "kubeconfig"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A value that some reader takes, with a piece of it replaced."""
    value = draw(st.sampled_from(SEEDS))
    start = draw(st.integers(0, len(value)))
    end = draw(st.integers(start, min(len(value), start + 40)))
    return value[:start] + draw(st.one_of(st.binary(max_size=12), st.just(CANARY.encode()))) + value[end:]


def read_all(secret: raw.Secret) -> list[ParsedCredential | str]:
    found: list[ParsedCredential | str] = []
    for kind in credential_kinds().values():
        try:
            found += kind.read(secret, Fingerprint(b"test"))
        except Unparsable as error:
            found += [str(error), error.credential]
    return found


@settings(max_examples=300)
@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), damaged(), max_size=6))
def test_damaged_values_are_read_or_refused(secret_type: str, data: dict[str, bytes]) -> None:
    forms_of(data)
    for one in read_all(raw.Secret(metadata=raw.ObjectMeta(name="s"), type=secret_type, data=data)):
        assert len(repr(one)) < 3000


@pytest.mark.parametrize("secret_type", TYPES)
@pytest.mark.parametrize(
    "start", [b"\xfe\xed\xfe\xed", b"0\x82\xff\xff\x02\x01\x030", b"apiVersion: users clusters", b"{"]
)
def test_ten_megabytes_are_refused_at_once(secret_type: str, start: bytes) -> None:
    data = dict.fromkeys(KEYS, start + b"\x00\x00\x00\x02" * 2_500_000)

    read_all(raw.Secret(metadata=raw.ObjectMeta(name="s"), type=secret_type, data=data))


SECRET_TEXTS = [
    f"apiVersion: v1\nclusters: []\nusers: [{{name: a, user: {{password: {CANARY}}}}}]\ncontexts: [",
    f"clusters: []\nusers: []\n{CANARY}: *{CANARY}\n",
    f'{{"type": "service_account", "private_key": "{CANARY}"}}',
    f"-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n",
    f"ASIAXXXXXXXXXXXXXXXX\n{CANARY}",
    f"\udcfe\udced\udcfe\udced{CANARY}",
    f"0\udc82\x00\x20\x02\x01\x030{CANARY}",
    f"eyJhbGciOiJSUzI1NiJ9.{CANARY}.c2ln",
    CANARY,
]


@pytest.mark.parametrize("secret_type", TYPES)
@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_no_reader_repeats_a_value(secret_type: str, text: str) -> None:
    data = dict.fromkeys(KEYS, text.encode("utf-8", "surrogateescape"))

    found = repr(read_all(raw.Secret(metadata=raw.ObjectMeta(name="s"), type=secret_type, data=data)))

    assert CANARY not in found
    assert base64.b64encode(CANARY.encode()).decode()[:20] not in found


def pkcs12_of(slug: str, name: str, key: str) -> bytes:
    return base64.b64decode(CASES[slug][name]["secret"]["data"][key])


P12 = pkcs12_of("keystore", "a_pkcs12_file_is_opened_by_the_password_beside_it", "keystore.p12")


def test_a_keystore_that_asks_for_hours_of_hashing_is_not_opened() -> None:
    # 20,000 rounds are written 02 02 4e 20; the same number of bytes can ask for no more than 32,767 of them.
    rounds = b"\x02\x02\x4e\x20"
    assert rounds in P12
    greedy = P12.replace(rounds, b"\x02\x02\x7f\xff")
    passwords = [f"wrong {number}" for number in range(6)]

    assert read_pkcs12(greedy, passwords) is None
    assert MAX_ROUNDS < 1_000_000


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return bytes([tag, 0x82]) + struct.pack(">H", len(content)) + content


def test_two_thousand_million_rounds_are_counted_and_not_done() -> None:
    oid = lambda text: der(0x06, bytes.fromhex(text))  # noqa: E731
    pbe = der(0x30, oid("2a864886f70d010c0103"), der(0x30, der(0x04, b"salt"), der(0x02, b"\x7f\xff\xff\xff")))
    encrypted = der(0x30, der(0x02, b"\0"), der(0x30, oid("2a864886f70d010701"), pbe, der(0x80, b"x" * 16)))
    part = der(0x30, oid("2a864886f70d010706"), der(0xA0, encrypted))
    safe = der(0x30, oid("2a864886f70d010701"), der(0xA0, der(0x04, der(0x30, part))))

    assert read_pkcs12(der(0x30, der(0x02, b"\3"), safe), ["", "changeit"]) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_keystore_or_none(value: bytes) -> None:
    for start in (b"", b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1", b"\xce\xce\xce\xce\0\0\0\1"):
        with contextlib.suppress(BadCertificates):
            read_jks(start + value)
    for start in (
        b"",
        b"0\x80\x02\x01\x03\x30",
        b"0\x30\x02\x01\x03\x30\x2b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0",
    ):
        with contextlib.suppress(BadCertificates):
            read_pkcs12(start + value, [""])


@pytest.mark.parametrize("lengths", [(0xFFFFFFFF, 0), (1, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFFF)])
def test_a_keystore_that_claims_to_be_huge_is_refused(lengths: tuple[int, int]) -> None:
    count, length = lengths

    with pytest.raises(BadCertificates):
        read_jks(struct.pack(">IIIIHQI", 0xFEEDFEED, 2, count, 1, 0, 0, length))


@given(st.binary(max_size=300))
def test_any_bytes_are_yaml_or_too_much(value: bytes) -> None:
    with contextlib.suppress(TooMuch):
        read_yaml(value)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 200_000,
        b"- " * 100_000,
        b"{a: " * 60_000,
        b"a: &a [*a]",
        b"a: b\n" * 40_000,
        b"? [" * 60_000,
        b"a" * MAX_BYTES * 2,
    ],
    ids=["lists", "items", "maps", "alias", "long", "keys", "large"],
)
def test_hostile_yaml_is_refused_at_once(value: bytes) -> None:

    with pytest.raises(TooMuch):
        read_yaml(value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_none(value: bytes) -> None:
    public_half(b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(value) + b"\n-----END PRIVATE KEY-----\n")
    with contextlib.suppress(BadCertificates):
        read_pem(b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(value) + b"\n-----END CERTIFICATE-----\n")


def test_a_form_that_is_not_told_is_not_there() -> None:
    for slug, kind in credential_kinds().items():
        for case in CASES[slug].values():
            secret = namespace_objects([{"kind": "Secret", "metadata": {"name": "s"}, **case["secret"]}]).secrets[0]
            if case.get("credentials") and kind.forms:
                assert kind.forms & forms_of(secret.data)


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=20)))
def test_forms_are_told_of_any_bytes(data: dict[str, Any]) -> None:
    assert forms_of(data) >= forms_of(None)
