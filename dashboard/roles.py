"""The processes that Credboard consists of, each as the command that starts it. `manage.py up` starts them all on one
machine, `manage.py start ROLE` becomes one of them: in a container, or under a service manager.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from dashboard import alive

#: Said at every start of a worker by root, who is whom a container or a new machine often has.
_QUIET: Final = ("-W", "ignore:You're running the worker with superuser privileges")


def web(*, bind: str, workers: int = 1, threads: int = 8, log_level: str = "warning") -> list[str]:
    """The pages, on `bind` ("HOST:PORT"). After SIGTERM it answers what it has begun for at most 30 seconds."""
    return [
        sys.executable, "-m", "gunicorn", "dashboard.wsgi", f"--bind={bind}", "--worker-class=gthread",
        f"--workers={workers}", f"--threads={threads}", f"--log-level={log_level}", "--graceful-timeout=30",
        "--logger-class=dashboard.gunicorn_logger.Logger",
    ]  # fmt: skip


def worker(*, concurrency: int = 2, log_level: str = "warning") -> list[str]:
    """Does the tasks, `concurrency` at once. After SIGTERM it ends those that it has begun, and takes no other."""
    return [*_celery(), "worker", f"--concurrency={concurrency}", f"--loglevel={log_level}"]


def beat(*, log_level: str = "warning") -> list[str]:
    """Says when it is time to look for what is due. Two of them do no harm: work is claimed in the database."""
    return [*_celery(), "beat", f"--loglevel={log_level}", "--pidfile="]


def watch() -> list[str]:
    """Has Namespaces scanned as soon as something changes in them. Optional, and two of them do no harm."""
    manage = Path(__file__).resolve().parent.parent / "manage.py"
    return [sys.executable, str(manage), "watch", f"--alive-file={alive.path_of('watch')}"]


def _celery() -> list[str]:
    return [sys.executable, *_QUIET, "-m", "celery", "-A", "dashboard", "--quiet"]
