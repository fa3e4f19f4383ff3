from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from dashboard import env

NAME = "CREDBOARD_TEST"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)


def read_integer() -> int:
    return env.integer(NAME, 60, minimum=5, maximum=100)


def test_what_is_not_set_or_empty_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert (env.text(NAME, "x"), env.boolean(NAME, True), read_integer()) == ("x", True, 60)
        assert (env.words(NAME, ("a",)), env.networks(NAME)) == (("a",), ())
        monkeypatch.setenv(NAME, "  ")


@pytest.mark.parametrize(
    ("read", "value", "meaning"),
    [
        (lambda: env.text(NAME), " hello \n", "hello"),
        (lambda: env.boolean(NAME, False), "Yes", True),
        (lambda: env.boolean(NAME, True), "off", False),
        (read_integer, "5", 5),
        (lambda: env.words(NAME), "a, b\tc,,", ("a", "b", "c")),
        (lambda: env.networks(NAME), "10.0.0.0/8 ::1", tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "::1")))),
    ],
)
def test_a_value_is_read(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, meaning: object
) -> None:
    monkeypatch.setenv(NAME, value)
    assert read() == meaning


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (lambda: env.boolean(NAME, False), "maybe", "CREDBOARD_TEST='maybe' is not a boolean; use true or false"),
        (read_integer, "ten", "CREDBOARD_TEST='ten' is not a whole number"),
        (read_integer, "4", "CREDBOARD_TEST=4 is not between 5 and 100"),
        (read_integer, "101", "CREDBOARD_TEST=101 is not between 5 and 100"),
        (lambda: env.networks(NAME), "10.0.0.0/8 home", "'home' is not an IP range such as 10.0.0.0/8"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_it_should_be(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, words: str
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        read()
    assert words in str(refused.value)
    assert NAME in str(refused.value)


def test_a_value_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("s3cr3t\n", encoding="utf-8")
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    assert env.text(NAME, "default") == "s3cr3t"


def test_a_value_and_a_file_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "s3cr3t")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "value"))
    with pytest.raises(ImproperlyConfigured, match="CREDBOARD_TEST and CREDBOARD_TEST_FILE are both set") as refused:
        env.text(NAME)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff s3cr3t"], ids=["not there", "not text"])
def test_a_file_that_cannot_be_read_is_named_and_its_content_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "value"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    with pytest.raises(ImproperlyConfigured) as refused:
        env.text(NAME)
    assert f"CREDBOARD_TEST_FILE={path} cannot be read" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
