from __future__ import annotations

import ctypes
import gc
import subprocess
import sys

import pytest

from scanner.collecting import THRESHOLDS, fewer_collections


def test_what_was_set_before_comes_back_even_after_an_error() -> None:
    before = gc.get_threshold()

    with pytest.raises(RuntimeError):
        _fail_inside()

    assert gc.get_threshold() == before


def _fail_inside() -> None:
    with fewer_collections():
        assert gc.get_threshold() == THRESHOLDS
        raise RuntimeError


#: In a process of its own: a block that has room between what other tests left behind needs no pages.
_PROBE = """
import ctypes
from scanner.collecting import OWN_PAGES, fewer_collections

class Mallinfo(ctypes.Structure):
    # glibc's `struct mallinfo2`, as far as `hblkhd`: bytes of the blocks that have pages of their own.
    _fields_ = tuple((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", *"abcde"))

told = ctypes.CDLL(None).mallinfo2
told.restype = Mallinfo
with fewer_collections():
    larger = bytearray(64 * OWN_PAGES)
    del larger
    before = told().hblkhd
    large = bytearray(4 * OWN_PAGES)
    print(told().hblkhd - before >= len(large))
"""


def test_a_large_block_has_pages_of_its_own_also_after_larger_ones_were_freed() -> None:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("asks glibc")
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("True\n", "")
