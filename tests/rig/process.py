"""Run a server for as long as this process lives, and no longer."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

#: Seconds that a server may take for anything, on a machine that does other things as well.
PATIENCE = 180
_PR_SET_PDEATHSIG = 1
# Loaded here because almost nothing is safe to do between fork and exec, importing and dlopen least of all.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartFailed(RuntimeError):
    """A server ended, or did not answer in time. The text holds the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing uses, and that stays so until whoever asked listens on it.

    So it is none that the kernel may give to somebody meanwhile, for a server or for its end of a connection; it is
    told once; and each worker of pytest-xdist has ports of its own: those that its number is the remainder of.
    """
    while True:
        port = next(_ports)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _quiet_ports() -> Iterator[int]:
    """Those of this worker that the kernel hands out to nobody, from anywhere among them, over and over."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except FileNotFoundError:
        first = 32_768  # other systems begin higher
    first = max(first, 11_000)  # there are kernels that hand out all there are; then nothing is quiet
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    ports = [port for port in range(max(1_024, first - 20_000), first) if port % workers == mine]
    start = random.randrange(len(ports))
    return itertools.cycle(ports[start:] + ports[:start])


_ports = _quiet_ports()


class ServerProcess:
    """One server process with its log in a file.

    It gets SIGKILL from the kernel when this process dies, however that happens (Linux only). The kernel ties that to
    the *thread* that started it, so start servers from the main thread or from one that lives as long as they do.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        user: pwd.struct_passwd | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` with its output going to `log`; as `user` where one is given (needs root)."""
        self.name = Path(command[0]).name
        self.log = log
        as_user: dict[str, object] = {}
        if user is not None:
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if environment is None else dict(environment),
                # Ctrl-C in a terminal reaches the test run only, which then stops its servers in order.
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 (it makes two system calls and nothing else)
                **as_user,  # type: ignore[call-overload]
            )

    @property
    def pid(self) -> int:
        pid: int = self._process.pid
        return pid

    def wait_until_ready(self, is_ready: Callable[[], bool], *, seconds: float = PATIENCE, pause: float = 0.05) -> None:
        """Return once `is_ready()` is true. Raises StartFailed after `seconds`, or at once when the process ends.

        `pause` is in seconds: a longer one is for questions that keep the process from what is waited for.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            ended = self._process.poll()
            if ended is not None:
                raise StartFailed(f"{self.name} ended with status {ended} while starting.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready after {seconds:.0f} s.\n{self.log_tail()}")
            time.sleep(pause)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of its log, headed by where the log is."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join([f"--- end of {self.log}", *text.splitlines()[-lines:]])

    def stop(self, *, ask: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> None:
        """Ask it to end, and end it by force if it has not after `seconds`. Harmless when it has ended already."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(ask)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def wait_until(is_so: Callable[[], bool], what: str, *, seconds: float = PATIENCE) -> None:
    """Ask again and again. Raises AssertionError with `what` was waited for after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


def accepts_connections(port: int) -> bool:
    """Whether something listens on this TCP port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _die_with(parent: int) -> Callable[[], None] | None:
    """What the child runs between fork and exec so that it does not outlive `parent`."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_the_kernel
