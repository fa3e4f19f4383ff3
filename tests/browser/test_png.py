"""A picture is the same after it was made smaller."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from tests.browser.png import _chunk, _chunks, _paeth, compressed

WIDTH, HEIGHT, SIZE = 5, 10, 3


def _picture(rows: list[bytes], *, bits: int = 8) -> bytes:
    """A PNG whose rows take each of the five filters in turn."""
    raw, above = b"", bytes(WIDTH * SIZE)
    for number, row in enumerate(rows):
        left = bytes(SIZE) + row
        corner = bytes(SIZE) + above
        guesses = (
            lambda i: 0,
            lambda i, left=left: left[i],
            lambda i, above=above: above[i],
            lambda i, left=left, above=above: (left[i] + above[i]) // 2,
            lambda i, left=left, above=above, corner=corner: _paeth(left[i], above[i], corner[i]),
        )
        kind = number % 5
        raw += bytes([kind]) + bytes((row[i] - guesses[kind](i)) & 255 for i in range(len(row)))
        above = row
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"tEXt", b"Software\0x"), (b"IDAT", zlib.compress(raw, 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


def test_every_filter_is_undone_and_only_what_shows_is_kept() -> None:
    source = random.Random(7)
    rows = [bytes(source.choices((0, 1, 127, 254, 255), k=WIDTH * SIZE)) for _ in range(HEIGHT)]

    chunks = dict(_chunks(compressed(_picture(rows))))

    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert zlib.decompress(chunks[b"IDAT"]) == b"".join(b"\0" + row for row in rows)


def test_a_picture_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="Only 8 bits"):
        compressed(_picture([bytes(WIDTH * SIZE)] * HEIGHT, bits=16))
