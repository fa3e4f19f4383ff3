"""When Python's garbage collector looks for cycles while a scan runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: A scan makes millions of objects, nearly all of which die by reference count. With Python's own thresholds, which
#: look through the young ones after every 700, up to a third of the core's time went into that.
THRESHOLDS: Final = (20_000, 20, 50)


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect less often inside. What was set before comes back at the end.

    Only the thresholds: `gc.freeze` would move all objects of the process, other threads' too, and they are not ours.
    """
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
