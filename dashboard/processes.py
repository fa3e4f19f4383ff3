"""Child processes of `manage.py up`: start them, notice when one ends, stop them all."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec, in a process with threads, loading could wait for a lock that nobody will release.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """In the child, before exec: be told to stop when the supervisor is gone, however it went (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Supervisor:
    """Runs named commands as children and stops them in reverse order of their start."""

    env: Mapping[str, str]
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str]) -> None:
        # A session of its own, so that Ctrl-C reaches only the supervisor, which then stops the children in order.
        self._children[name] = subprocess.Popen(
            command,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (it makes one system call and nothing else)
        )

    def ended(self) -> tuple[str, int] | None:
        """Name and exit status of a child that has ended by itself."""
        for name, child in self._children.items():
            if (status := child.poll()) is not None:
                return name, status
        return None

    def stop(self, *, grace: float = 8.0) -> list[str]:
        """SIGTERM to each, newest first; SIGKILL to those that are still there after `grace` seconds.

        Returns the names of those that had to be killed.
        """
        deadline = time.monotonic() + grace
        killed = []
        for child in reversed(self._children.values()):
            if child.poll() is None:
                child.terminate()
        for name, child in reversed(self._children.items()):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                killed.append(name)
        return killed
