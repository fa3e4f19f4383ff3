from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scanner.docker_config import Entry, MalformedPullSecret, parse_entries
from scanner.image import InvalidImage, parse_image
from scanner.keyring import Keyring, lookup_subject, normalise_key, url_matches, why_not

CANARY = "c4n4ry-value"
CANARY_AUTH = base64.b64encode(f"user:{CANARY}".encode()).decode()
TYPES = st.sampled_from(
    [
        ("kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
        ("kubernetes.io/dockercfg", ".dockercfg"),
        ("Opaque", ".dockercfg"),
    ]
)
FIELDS = st.sampled_from(["username", "password", "auth", "Auth", "PASSWORD", "email", "identitytoken", "x"])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([CANARY, CANARY_AUTH, CANARY_AUTH[:-2], f" {CANARY_AUTH}"]),
)
KEY_TEXT = st.text(alphabet="abq.io/:*?[]-%0v12\\@#é \x00", max_size=24)
KEYS = KEY_TEXT | st.sampled_from(
    [
        "quay.io",
        "https://quay.io/v1/",
        "quay.io/team",
        "*.io",
        "docker.io",
        "https://index.docker.io/v1/",
        "index.docker.io",
        "*.example.com",
    ]
)
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | KEYS, inner, max_size=3), max_leaves=12
)
CONFIGS = st.dictionaries(KEYS, st.dictionaries(FIELDS, VALUES, max_size=4) | ANYTHING, max_size=4)
DOCUMENTS = st.one_of(ANYTHING, CONFIGS, st.fixed_dictionaries({"auths": CONFIGS | ANYTHING}))
IMAGES = st.sampled_from(
    [
        "quay.io/team/app",
        "docker.io/library/nginx",
        "docker.io/team/app",
        "a.example.com/x",
        "localhost/app",
        "[fc00::1]:5000/x",
    ]
)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def entries_of(kind: tuple[str, str], value: bytes) -> tuple[Entry, ...]:
    try:
        return parse_entries(kind[0], {kind[1]: value})
    except MalformedPullSecret:
        return ()


@given(TYPES, st.binary(max_size=200) | st.text(alphabet='{}[]":,auths \\u0d8\n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_said_to_be_malformed(kind: tuple[str, str], value: bytes) -> None:
    entries_of(kind, value)


@given(TYPES, DOCUMENTS)
def test_no_value_shows_in_an_error(kind: tuple[str, str], document: Any) -> None:
    failure: MalformedPullSecret | None = None
    try:
        parse_entries(kind[0], {kind[1]: encoded(document)})
    except MalformedPullSecret as malformed:
        failure = malformed
    shown = f"{failure} {failure!r}"
    assert CANARY not in shown
    assert CANARY_AUTH[:-2] not in shown
    assert getattr(failure, "__context__", None) is None


@given(
    st.dictionaries(
        KEYS,
        st.sampled_from([{"password": CANARY}, {"auth": CANARY_AUTH}, {"username": "u", "password": CANARY}]),
        max_size=4,
    ),
    IMAGES,
)
def test_no_password_shows_in_entries_and_matches(auths: dict[str, Any], image: str) -> None:
    secrets = [("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded({"auths": auths})})]
    matches = Keyring.from_secrets(secrets).lookup(image)
    assert CANARY not in repr(matches)
    assert CANARY not in repr(parse_entries(*secrets[0]))
    assert all(match.password == CANARY for match in matches)


@given(st.binary(max_size=40), st.booleans())
def test_an_auth_field_is_what_was_encoded(secret: bytes, padded: bool) -> None:
    auth = base64.b64encode(b"user:" + secret).decode()
    (entry,) = entries_of(
        ("kubernetes.io/dockercfg", ".dockercfg"), encoded({"quay.io": {"auth": auth if padded else auth.rstrip("=")}})
    )
    assert entry.username == "user"
    assert entry.password == "".join(chr(byte) if byte < 128 else "\ufffd" for byte in secret) or not secret.isascii()


@given(st.lists(st.lists(KEYS, max_size=4, unique=True), max_size=4), IMAGES)
def test_a_lookup_keeps_the_kubelets_order(secrets: list[list[str]], image: str) -> None:
    given_secrets = [
        (
            "kubernetes.io/dockerconfigjson",
            {".dockerconfigjson": encoded({"auths": {key: {"username": key} for key in keys}})},
        )
        for keys in secrets
    ]
    matches = Keyring.from_secrets(given_secrets).lookup(image)

    keys = [match.key for match in matches]
    assert keys == sorted(keys, reverse=True)
    for key in set(keys):
        indexes = [match.secret_index for match in matches if match.key == key]
        assert indexes == sorted(indexes)
    filed = [normalise_key(key) for keys_of_one in secrets for key in keys_of_one]
    direct = [
        key
        for key in filed
        if key is not None and not key.startswith(("https://", "http://")) and url_matches(key, image)
    ]
    if direct:
        assert sorted(direct, reverse=True) == keys
    else:
        assert set(keys) <= {"index.docker.io"}


@given(KEYS, st.text(max_size=20) | KEY_TEXT)
def test_any_key_and_image_have_an_answer(key: str, image: str) -> None:
    assert (why_not(key, image) is None) is url_matches(key, image)
    normalise_key(key)


@given(st.text(alphabet="ab.:/@A5", max_size=20))
def test_what_is_looked_up_for_an_image_is_its_name(image: str) -> None:
    try:
        name = parse_image(image).name
    except InvalidImage:
        name = image
    assert lookup_subject(image) in (name, image)
