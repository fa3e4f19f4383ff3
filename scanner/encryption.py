"""Secrets at rest: what Credboard must be able to read again, but nobody who only holds the database may.

The keys are those of CREDBOARD_ENCRYPTION_KEYS, of which the first encrypts and each decrypts; and, behind them, those
derived from CREDBOARD_SECRET_KEY and its fallbacks, so that an installation works before anybody thinks of keys, and
one that gets keys later loses nothing. `manage.py rotatekeys` writes everything anew with the first key.

A column of a model that holds such bytes is an `EncryptedField`: by that, rotation finds it. It stores what `encrypt`
gives and gives back what `decrypt` takes: reading a row decrypts nothing, so a page that needs no secret never has one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.views.decorators.debug import sensitive_variables

#: What the derived key is for. Another purpose of the same secret takes another text (RFC 5869, section 3.2).
_PURPOSE: Final = b"credboard: secrets at rest, 1"
_HOW_TO_MAKE_ONE: Final = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())" prints a new one'
)


class CannotDecrypt(Exception):
    """None of the keys fits. The text says so and holds neither the value nor a key."""

    def __init__(self) -> None:
        super().__init__(
            "It was encrypted with a key that is not here any more: add a former key to CREDBOARD_ENCRYPTION_KEYS"
            " (a former CREDBOARD_SECRET_KEY to CREDBOARD_SECRET_KEY_FALLBACKS), or enter the value again."
        )


class EncryptedField(models.BinaryField):  # type: ignore[type-arg]  # not generic at run time
    """A column of what `encrypt` gave. `rotatekeys` encrypts it anew."""


@sensitive_variables()
def encrypt(text: str) -> bytes:
    """`text` as bytes that only a holder of the keys can read: never the same twice, and they cannot be altered unseen.

    Raises ImproperlyConfigured when a key in the settings is no key.
    """
    return _keys().encrypt(text.encode("utf-8", "surrogatepass"))


@sensitive_variables()
def decrypt(value: bytes | memoryview) -> str:
    """The text that `encrypt` was given. Raises CannotDecrypt, or ImproperlyConfigured as `encrypt` does."""
    try:
        return _keys().decrypt(bytes(value)).decode("utf-8", "surrogatepass")
    except InvalidToken:
        raise CannotDecrypt from None


@sensitive_variables()
def rotated(value: bytes | memoryview) -> bytes:
    """The same secret, encrypted with the first key. Raises CannotDecrypt."""
    try:
        return _keys().rotate(bytes(value))
    except InvalidToken:
        raise CannotDecrypt from None


@sensitive_variables()
def is_of_first_key(value: bytes | memoryview) -> bool:
    """Whether `value` can be read with the first key alone, so that all others may go."""
    try:
        _each()[0].decrypt(bytes(value))
    except InvalidToken:
        return False
    return True


@sensitive_variables()
def _keys() -> MultiFernet:
    return MultiFernet(_each())


@sensitive_variables()
def _each() -> list[Fernet]:
    given = [key for word in settings.ENCRYPTION_KEYS for key in word.split(",") if key]
    secrets: list[str] = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [_fernet(place, key) for place, key in enumerate(given, 1)]
    return [*keys, *(Fernet(_derived(secret)) for secret in secrets)]


@sensitive_variables()
def _fernet(place: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except (ValueError, binascii.Error):
        raise ImproperlyConfigured(
            f"CREDBOARD_ENCRYPTION_KEYS: key {place} is not 32 bytes in URL-safe base64. {_HOW_TO_MAKE_ONE}."
        ) from None


@sensitive_variables()
def _derived(secret: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(secret.encode()))


@sensitive_variables()
def check_keys() -> None:
    """Raises ImproperlyConfigured, naming it by its place, when a key in the settings is no key."""
    _keys()


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every model with an `EncryptedField`, and the field's name."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedField):
                yield model, field.attname
