"""What a cluster says, as columns take it: anybody can put anything into an object, and databases are particular."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from django.db import models

#: Longer texts than this are nothing that people read. Columns with a `max_length` have a limit of their own.
TEXT_LIMIT: Final = 8_000
# PostgreSQL stores neither in text nor in jsonb, while anybody can put them into a cluster.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def storable_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` as every database takes it. What is longer than `limit` characters is cut and ends in a hash of the whole,
    so that two long names stay two."""
    if "\0" in text or not text.isascii():
        text = _UNSTORABLE.sub("\ufffd", text)
    if len(text) <= limit:
        return text
    return f"{text[: limit - 13]}~{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def storable(value: Any) -> Any:
    """`value` as plain JSON that every database takes."""
    try:
        encoded = encoder.encode(value)
    except UnicodeEncodeError:
        return cleaned(value)
    # Nearly always there is nothing in it to be cleaned, nor room for a text that is too long.
    if b"\\u0000" in encoded or len(encoded) > TEXT_LIMIT:
        return cleaned(value)
    return msgspec.json.decode(encoded)


def cleaned(value: Any) -> Any:
    """As `storable`, looking at every text."""
    match value:
        case str():
            return storable_text(str(value))
        case Mapping():
            return {storable_text(str(key)): cleaned(one) for key, one in value.items()}
        case list() | tuple():
            return [cleaned(one) for one in value]
        case None | bool() | int() | float():
            return value
        case _:
            return cleaned(msgspec.to_builtins(value, enc_hook=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a value that a scan stores")


encoder: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)


@cache
def _limits(model: type[models.Model]) -> dict[str, int]:
    """How many characters each column of `model` takes."""
    fields = model._meta.concrete_fields
    return {field.name: getattr(field, "max_length", None) or TEXT_LIMIT for field in fields}


def fill(row: models.Model, **values: Any) -> None:
    """Set columns of `row` to `values` as the database takes them: the only way of what a cluster said into a row."""
    limits = _limits(type(row))
    for name, value in values.items():
        if isinstance(value, str):
            setattr(row, name, storable_text(str(value), limits[name]))
        elif isinstance(value, Mapping | list | tuple):
            setattr(row, name, storable(value))
        else:
            setattr(row, name, value)
