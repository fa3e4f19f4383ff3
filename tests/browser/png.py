"""Smaller PNG files of pages: rows without a filter, which suit plain areas and text better than a browser's."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: Bytes of a pixel by colour type (PNG specification, 11.2.2), at 8 bits a sample.
_PIXEL: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def compressed(png: bytes) -> bytes:
    """The same picture without what is not needed to show it, its pixels as small as zlib makes them. 8 bits a sample,
    not interlaced, as browsers write them; raises ValueError for others."""
    kept, pixels = [], b""
    for kind, data in _chunks(png):
        if kind == b"IDAT":
            pixels += data
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            kept.append((kind, data))
    width, _, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", kept[0][1])
    if bits != 8 or interlaced:
        raise ValueError("Only 8 bits a sample, not interlaced")
    size = _PIXEL[colour]
    plain = b"".join(b"\0" + row for row in _rows(zlib.decompress(pixels), length=width * size, size=size))
    best = min(zlib.compress(plain, 9), pixels, key=len)
    return _SIGNATURE + b"".join(_chunk(*one) for one in [*kept, (b"IDAT", best), (b"IEND", b"")])


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _rows(raw: bytes, *, length: int, size: int) -> Iterator[bytes]:
    """The rows of the picture, of `length` bytes: `raw` with its filters undone (PNG specification, 9.2)."""
    above = bytes(length)
    for start in range(0, len(raw), length + 1):
        row = bytearray(raw[start + 1 : start + 1 + length])
        kind = raw[start]
        for i in range(length) if kind else ():
            left = row[i - size] if i >= size else 0
            if kind == 1:
                added = left
            elif kind == 2:
                added = above[i]
            elif kind == 3:
                added = (left + above[i]) // 2
            else:
                added = _paeth(left, above[i], above[i - size] if i >= size else 0)
            row[i] = (row[i] + added) & 255
        above = bytes(row)
        yield above


def _paeth(left: int, up: int, corner: int) -> int:
    """The neighbour that is nearest to `left + up - corner`; in doubt the one that is named first."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
