"""`make run` and `manage.py up` as people run them: one process that starts everything, and leaves nothing behind."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.rig.apiserver import KubeApiServer
from tests.rig.process import free_port, wait_until
from tests.rig.venv import installed

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery"
STORY = "kubeflow-user-example-com"
#: Seconds. A machine that does other things as well is slow; what matters is printed.
PATIENCE = 150

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")


def as_typed(command: str, port: int, venv: Path) -> list[str]:
    """`make run`, or `make run ARGS=…`, as the documentation has it: on a free port, with nothing left to install."""
    words = shlex.split(command)
    given = [word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")]
    arguments = " ".join([*given, "--port", str(port)])
    return [*(word for word in words if not word.startswith("ARGS=")), f"ARGS={arguments}", f"VENV={venv}"]


class Up:
    """A running `manage.py up`, with these arguments or as `make run` starts it: one word that begins with "make "."""

    def __init__(self, data: Path, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = data
        self._log = data.parent / "up.log"
        home = data.parent / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}}
        if arguments and arguments[0].startswith("make "):
            command = as_typed(arguments[0], self.port, installed(data.parent / "venv"))
        else:
            command = [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**kept, "HOME": str(home), "CREDBOARD_DATA_DIR": str(data), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A run in the background ignores Ctrl-C, and so would all that it starts.
                preexec_fn=_heeds_ctrl_c,  # noqa: PLW1509 (it makes one system call)
            )
        self.family: set[int] = set()

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, what: Callable[[], object], seconds: float = PATIENCE, *, pause: float = 0.1) -> float:
        """Until `what()` is true; returns the seconds that took. Pages need a longer `pause`: each costs a tenth."""
        began = time.monotonic()
        while not what():
            assert self.process.poll() is None, self.said
            assert time.monotonic() - began < seconds, self.said
            time.sleep(pause)
        return time.monotonic() - began

    def wait_until_up(self) -> None:
        self.wait_for(lambda: "Ctrl-C stops everything" in self.said)
        self.family = descendants(self.process.pid)

    def stop(self, signum: signal.Signals = signal.SIGINT) -> None:
        """As Ctrl-C, which reaches every process of the terminal's group."""
        self.family |= descendants(self.process.pid)
        os.killpg(self.process.pid, signum)
        self.process.wait(PATIENCE)

    def end(self) -> None:
        """Whatever happened: leave nothing."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in {self.process.pid, *descendants(self.process.pid)}:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """From its database; nothing before there is one."""
        try:
            with closing(sqlite3.connect(f"file:{self.data / 'credboard.sqlite3'}?mode=ro", uri=True)) as connection:
                return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def _heeds_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found, fresh = set[int](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pids: set[int]) -> set[int]:
    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            return "Z"

    return {pid for pid in pids if state(pid) != "Z"}


def doctor_beside(up: Up) -> dict[str, list[str]]:
    """What `manage.py doctor` thinks of each part in a second terminal, where only the data folder is known."""
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--format", "json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CREDBOARD_DATA_DIR": str(up.data)},
        capture_output=True,
        text=True,
        check=False,
    )
    parts: dict[str, list[str]] = {}
    for one in json.loads(done.stdout)["advice"]:
        parts.setdefault(one["about"], []).append(one["level"])
    return parts


class Browser:
    """Someone who signs in with a form and keeps cookies."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}))

    def get(self, path: str) -> str:
        with self._opener.open(self._url + path, timeout=60) as response:
            return str(response.read().decode())

    def sign_in(self, password: str) -> str:
        """The page that follows."""
        form = self.get("/sign-in/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token, form
        fields = {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]}
        request = urllib.request.Request(
            self._url + "/sign-in/", urllib.parse.urlencode(fields).encode(), {"Referer": self._url + "/sign-in/"}
        )
        with self._opener.open(request, timeout=60) as response:
            return str(response.read().decode())


Start = Callable[..., Up]


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Start]:
    started: list[Up] = []

    def start(*arguments: str, **environment: str) -> Up:
        started.append(Up(tmp_path / "data", arguments, environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_from_nothing_to_a_matrix_and_back_to_nothing(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    up = start("make run", CREDBOARD_ADMIN_PASSWORD=PASSWORD)
    up.wait_until_up()
    listening = time.monotonic() - began
    assert "demo cluster" in up.said
    assert "There is no kubeconfig" in up.said
    assert PASSWORD not in up.said
    browser = Browser(up.url)
    page = browser.sign_in(PASSWORD)
    waited = up.wait_for(lambda: STORY in browser.get("/"), pause=0.5)
    assert "demo" in browser.get("/").lower()
    with capsys.disabled():
        print(f"\n  manage.py up: page after {listening:.1f} s, with data {waited:.1f} s later", end=" ")  # noqa: T201
    assert "Sign out" in page or "admin" in page
    seen = doctor_beside(up)
    assert seen["workers"] == ["ok"], "its broker and its worker were found by the data folder"
    assert {*seen["broker"], *seen["settings"]} == {"ok"}, "and so was the key, or the settings would be warned of"

    up.stop()
    assert "\nStopped.\n" in up.said
    assert not (up.data / "broker-url").exists()
    assert alive(up.family) == set()
    for noise in ("Traceback", "Warning:", "DeprecationWarning", "KeyboardInterrupt"):
        assert noise not in up.said, up.said

    again = start(CREDBOARD_ADMIN_PASSWORD="another password altogether")
    again.wait_until_up()
    assert "there already" in again.said
    browser = Browser(again.url)
    assert STORY in browser.sign_in(PASSWORD) + browser.get("/"), "what was found and who signs in is still there"
    again.stop(signal.SIGTERM)
    assert (again.process.returncode, alive(again.family)) == (0, set()), again.said


def test_without_a_password_one_is_printed_once_and_must_be_changed(start: Start) -> None:
    up = start("make run ARGS=--demo")
    up.wait_until_up()
    shown = re.search(r"Sign in as admin with the one-time password (\S+)", up.said)
    assert shown, up.said
    page = Browser(up.url).sign_in(shown[1])
    assert "password" in page.lower()
    assert STORY not in page
    assert (up.data / "secret-key").stat().st_mode & 0o077 == 0
    up.stop()
    assert shown[1].encode() not in b"".join(path.read_bytes() for path in up.data.rglob("*") if path.is_file())


def test_the_cluster_of_a_kubeconfig_is_scanned(start: Start, apiserver: KubeApiServer, tmp_path: Path) -> None:
    name = apiserver.create_namespace()
    path = apiserver.kubeconfig(tmp_path / "kubeconfig")
    up = start("--context", "test", KUBECONFIG=str(path), CREDBOARD_ADMIN_PASSWORD=PASSWORD)
    up.wait_until_up()
    assert "It scans the cluster test." in up.said
    found = f"SELECT status FROM scanner_namespace WHERE name = '{name}' AND scanned_at IS NOT NULL"
    up.wait_for(lambda: up.rows(found))
    assert up.rows("SELECT name, context, is_demo FROM scanner_cluster") == [("test", "test", 0)]
    up.stop()
    assert alive(up.family) == set()


def test_when_a_part_dies_all_of_it_stops_and_says_which(start: Start) -> None:
    up = start("--demo", CREDBOARD_ADMIN_PASSWORD=PASSWORD)
    up.wait_until_up()
    worker = next(
        pid for pid in sorted(up.family) if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    os.kill(worker, signal.SIGKILL)
    up.process.wait(PATIENCE)
    assert up.process.returncode == 1
    assert "The worker ended by itself (exit status -9)" in up.said
    wait_until(lambda: not alive(up.family), "the others end", seconds=PATIENCE)


def test_a_port_that_is_taken_is_said_to_be_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _fails(tmp_path, "--port", port)
    assert f"127.0.0.1:{port} cannot be used: Address already in use" in done
    assert "--port" in done


def test_a_data_folder_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _fails(tmp_path, "--port", str(free_port()), CREDBOARD_DATA_DIR=str(tmp_path / "file" / "data"))
    assert f"{tmp_path}/file/data cannot be written to: Not a directory" in done


def test_a_context_that_is_not_there_is_said_to_be_so(tmp_path: Path, apiserver: KubeApiServer) -> None:
    path = apiserver.kubeconfig(tmp_path / "kubeconfig")
    done = _fails(tmp_path, "--port", str(free_port()), "--context", "nowhere", KUBECONFIG=str(path))
    assert "no context 'nowhere'" in done
    assert "Its contexts are: test." in done


def _fails(folder: Path, *arguments: str, **environment: str) -> str:
    """What it says when it cannot start."""
    done = subprocess.run(
        [sys.executable, "manage.py", "up", *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CREDBOARD_DATA_DIR": str(folder / "data"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr
