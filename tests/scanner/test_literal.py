"""Credentials that are written out in Pods: bounded work whatever a Pod holds, and no value in what comes out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import raw
from scanner.literal import MAX_PLACES, LiteralCredential, literal_credentials

CANARY = "c4nary-Zq8"


def pod(*, args: tuple[str, ...] = (), annotations: dict[str, str] | None = None, **env: str) -> raw.Pod:
    variables = [raw.EnvVar(name=name, value=value) for name, value in env.items()]
    container = raw.Container(name="main", env=variables, args=list(args))
    return raw.Pod(
        metadata=raw.ObjectMeta(name="app", annotations=annotations), spec=raw.PodSpec(containers=[container])
    )


def found(one: raw.Pod, *secret_names: str) -> list[tuple[str, str]]:
    return [(literal.where, literal.shape) for literal in literal_credentials(one, frozenset(secret_names))]


@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}",
        f"https://user:{CANARY}@git.example.com/x.git",
        f'{{"auths":{{"quay.io":{{"auth":"{CANARY}"}}}}}}',
        f"Authorization: Bearer {CANARY}0123456789abcdef",
        f"glpat-{CANARY}0123456789",
        f"--token {CANARY}",
    ],
)
def test_no_value_comes_out(text: str) -> None:
    literals = literal_credentials(pod(args=(text,), annotations={"a": text}, DB_PASSWORD=text), frozenset())

    assert CANARY not in repr(literals)
    assert CANARY not in msgspec.json.encode(literals).decode()


def test_what_was_decoded_shows_no_value() -> None:
    assert CANARY not in repr(pod(args=(CANARY,), DB_PASSWORD=CANARY))


def test_the_name_of_a_secret_is_no_secret_in_its_own_namespace_only() -> None:
    one = pod(PULL_SECRET="harbor-0a1b2c3d4e")

    assert found(one, "harbor-0a1b2c3d4e") == []
    assert found(one) == [("env PULL_SECRET", "token or key")]
    assert found(one, "harbor-0a1b2c3d4e") == []


def test_what_is_clean_is_clean_again() -> None:
    one = pod(LOG_LEVEL="debug", KEY_PREFIX="app")

    assert found(one) == found(one) == []


def test_places_are_bounded() -> None:
    many = {f"P{number}_PASSWORD": f"hunter{number}" for number in range(100)}

    assert len(found(pod(**many))) == MAX_PLACES


def test_hostile_names_are_shown_on_one_line() -> None:
    one = msgspec.structs.replace(pod(), spec=raw.PodSpec(containers=[hostile_container()]))

    (literal,) = literal_credentials(one, frozenset())

    assert isinstance(literal, LiteralCredential)
    assert literal.where.isprintable()
    assert literal.container.isprintable()
    assert len(literal.where) < 300


def hostile_container() -> raw.Container:
    name = "\x00\n\u202e" * 500
    return raw.Container(name=name, env=[raw.EnvVar(name=f"{name}_PASSWORD", value="hunter2")])


@pytest.mark.parametrize(
    "unit",
    [
        "ey-",
        "eyA.",
        "a=",
        "a='",
        "a: ",
        "--token ",
        "x://",
        "://a:",
        "Bearer ",
        '"auth": "',
        "a" * 60 + "!",
        "$(",
        "-a ",
    ],
)
def test_a_megabyte_of_almost_something_is_read_in_no_time(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit))) + " password= AKIA"

    found(pod(args=(text,), annotations={"a": text}, API_TOKEN=text, DB_PASSWORD=text))


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_is_read(text: str, name: str) -> None:
    for literal in literal_credentials(pod(args=(text, f"--{name}={text}"), annotations={name: text}), frozenset()):
        assert literal.shape
