"""When Python's garbage collector looks for cycles while a scan runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: A scan makes millions of objects, nearly all of which die by reference count. Looking through the young ones after
#: every 700, as Python does by itself, took a third of its time; after 20,000 it takes next to none.
THRESHOLDS: Final = (20_000, 20, 50)


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect less often inside. What was set before comes back at the end.

    Without `gc.freeze`: a worker has other threads, and it would gain little more.
    """
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
