"""How memory is collected while a scan runs: when Python looks for cycles, and which blocks go back to the system."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: A scan makes millions of objects, nearly all of which die by reference count. With Python's own thresholds, which
#: look through the young ones after every 700, up to a third of the core's time went into that.
THRESHOLDS: Final = (20_000, 20, 50)

#: Bytes from which a block gets pages of its own, which go back to the system with it. Left to itself glibc raises its
#: limit to the size of the largest block that was freed, up to 32 MB (mallopt(3), "M_MMAP_THRESHOLD"): then the bodies
#: of lists, megabytes each, lie among small objects that outlive them, and the process grows with the cluster.
OWN_PAGES: Final = 256 * 1024
_M_MMAP_THRESHOLD: Final = -3


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect less often inside, and give large blocks back at once from now on. The thresholds that were set before
    come back at the end; the limit of large blocks stays.

    Of the collector only the thresholds: `gc.freeze` would move all objects of the process, other threads' too, and
    they are not ours.
    """
    give_large_blocks_back()
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_large_blocks_back() -> bool:
    """Keep blocks of `OWN_PAGES` and more out of the heap, in all of this process. False where its C library has no
    such limit (musl, macOS)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, OWN_PAGES))
