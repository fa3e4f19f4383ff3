"""Whether a worker, beat or watch still turns: `python -m dashboard.alive worker`, for health checks of containers.

Each touches a file as long as its own loop runs, whether or not the broker answers; the check looks at how old the file
is. It neither starts Django nor asks the broker: a check that costs a second of CPU every half minute, or fails when
Redis is down, would end scans that go well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

#: Seconds between two touches, and how old the file of a healthy process may be. A worker that waits for its broker to
#: come back touches nothing for a while, and is not better off when it is restarted.
INTERVAL: Final = 10
LIMIT: Final = 600


def path_of(role: str) -> Path:
    """The file of the "worker", "beat" or "watch" of this container."""
    return Path(os.environ.get("CREDBOARD_RUN_DIR") or tempfile.gettempdir()) / f"credboard-{role}.alive"


def touch(role: str) -> None:
    """Say that this process turns. A file system that refuses is a matter of the check, not of the work."""
    try:
        path_of(role).touch()
    except OSError:
        return


def age_of(role: str, *, now: float) -> float | None:
    """Seconds since the last touch at `now` (of the system's clock); None without one."""
    try:
        return max(0.0, now - path_of(role).stat().st_mtime)
    except OSError:
        return None


def watch_worker(worker: Any) -> None:
    """Have the timer of a Celery worker touch its file."""
    touch("worker")
    worker.timer.call_repeatedly(INTERVAL, touch, ("worker",), priority=10)


def main(arguments: list[str]) -> int:
    """0 when the process named in `arguments` turns, 1 with a sentence when not, 2 for a wrong call."""
    if arguments not in (["worker"], ["beat"], ["watch"]):
        sys.stderr.write("usage: python -m dashboard.alive worker|beat|watch\n")
        return 2
    age = age_of(arguments[0], now=time.time())
    if age is None or age > LIMIT:
        told = "has not started" if age is None else f"was last seen {age:.0f} s ago"
        sys.stderr.write(f"The {arguments[0]} {told}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
