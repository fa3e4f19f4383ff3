from __future__ import annotations

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from dashboard.encryption import CannotDecrypt, decrypt, encrypt, encrypted_columns
from dashboard.models import AlertRoute
from dashboard.system_checks.keys import encryption_keys_are_keys

FIRST, SECOND = (Fernet.generate_key().decode() for _ in range(2))
VALUE = "slack://t0p-s3cret/token"


@pytest.fixture(autouse=True)
def _no_keys(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ()


@hypothesis_settings(deadline=None)
@given(st.text())
def test_what_was_encrypted_comes_back(text: str) -> None:
    assert decrypt(encrypt(text)) == text


def test_the_same_text_is_never_encrypted_the_same_twice_and_not_to_be_seen() -> None:
    one, other = encrypt(VALUE), encrypt(VALUE)
    assert one != other
    assert b"s3cret" not in one + other


def test_without_keys_the_secret_key_decides(settings: Settings) -> None:
    value = encrypt(VALUE)
    settings.SECRET_KEY = "another"
    with pytest.raises(CannotDecrypt, match="CREDBOARD_ENCRYPTION_KEYS"):
        decrypt(value)


def test_a_former_secret_key_still_decrypts(settings: Settings) -> None:
    value = encrypt(VALUE)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert decrypt(value) == VALUE


def test_who_gets_keys_later_loses_nothing(settings: Settings) -> None:
    value = encrypt(VALUE)
    settings.ENCRYPTION_KEYS = (FIRST,)
    assert decrypt(value) == VALUE


@pytest.mark.parametrize("given", [(SECOND, FIRST), (f"{SECOND},{FIRST}",)], ids=["blanks", "commas"])
def test_the_first_key_encrypts_and_every_key_decrypts(settings: Settings, given: tuple[str, ...]) -> None:
    settings.ENCRYPTION_KEYS = (FIRST,)
    value = encrypt(VALUE)
    settings.ENCRYPTION_KEYS = given
    assert decrypt(value) == VALUE
    new = encrypt(VALUE)
    settings.ENCRYPTION_KEYS = (FIRST,)
    with pytest.raises(CannotDecrypt):
        decrypt(new)


@pytest.mark.parametrize("value", [b"", b"nonsense", encrypt(VALUE)[:-3], memoryview(b"x")])
def test_what_was_altered_cannot_be_decrypted_and_the_error_holds_none_of_it(value: bytes) -> None:
    with pytest.raises(CannotDecrypt) as caught:
        decrypt(value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["short", "ä" * 44, "x" * 44 + "="])
def test_a_key_that_is_none_is_named_by_its_place_and_not_shown(settings: Settings, key: str) -> None:
    settings.ENCRYPTION_KEYS = (FIRST, key)
    with pytest.raises(ImproperlyConfigured, match="key 2 is not 32 bytes") as caught:
        encrypt(VALUE)
    assert key not in str(caught.value)


def rotate() -> str:
    out = StringIO()
    call_command("rotatekeys", stdout=out)
    return out.getvalue()


def route(name: str) -> AlertRoute:
    return AlertRoute.objects.create(name=name, url=encrypt(VALUE), service="slack", created_by="ada")


def test_every_column_of_secrets_is_rotated() -> None:
    assert (AlertRoute, "url") in list(encrypted_columns())


@pytest.mark.django_db
def test_after_rotation_the_first_key_is_enough(settings: Settings) -> None:
    route("a")
    settings.ENCRYPTION_KEYS = (FIRST,)
    route("b")
    settings.ENCRYPTION_KEYS = (SECOND, FIRST)
    assert "alert route (url): 2 encrypted with the first key" in rotate()
    settings.ENCRYPTION_KEYS, settings.SECRET_KEY = (SECOND,), "another"
    assert [decrypt(one.url) for one in AlertRoute.objects.all()] == [VALUE, VALUE]


@pytest.mark.django_db
def test_what_no_key_fits_stands_as_it_was_and_the_command_fails(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = (FIRST,)
    lost = route("lost")
    settings.ENCRYPTION_KEYS = (SECOND,)
    route("kept")
    with pytest.raises(CommandError, match="1 could not be decrypted"):
        rotate()
    settings.ENCRYPTION_KEYS = (FIRST,)
    lost.refresh_from_db()
    assert decrypt(lost.url) == VALUE


def test_a_key_that_is_none_stops_every_command_with_what_to_do(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ("short",)
    (error,) = encryption_keys_are_keys(None)
    assert (error.id, error.level) == ("dashboard.E002", ERROR)
    assert "prints a new one" in str(error.msg)
    settings.ENCRYPTION_KEYS = (FIRST,)
    assert encryption_keys_are_keys(None) == []
