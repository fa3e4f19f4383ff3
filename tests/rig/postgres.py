"""A real PostgreSQL on a free loopback port, empty and thrown away at the end."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg

from tests.rig.process import ServerProcess, StartFailed, free_port

_USER = "credboard"


class NotInstalled(RuntimeError):
    """PostgreSQL's server programs are not on this machine."""


def find(program: str) -> Path | None:
    """A server program of PostgreSQL: on PATH, else the newest of those that Debian installs beside each other."""
    on_path = shutil.which(program)
    if on_path:
        return Path(on_path)
    installed = [
        folder / program for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / program).exists()
    ]
    return max(installed, key=lambda path: [int(part) for part in path.parts[4].split(".")], default=None)


class PostgresServer:
    """A cluster of its own, with the language-aware sort order that most installations have.

    SQLite sorts by bytes, and so would the C locale here: "en-US" makes a test fail that relies on it by accident.
    """

    def __init__(self, *, database: str = "credboard") -> None:
        """Nothing starts before `start()`."""
        self._database = database
        self._password = secrets.token_urlsafe(16)
        self._server: ServerProcess | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For DATABASE_URL."""
        return f"postgres://{_USER}:{self._password}@127.0.0.1:{self.port}/{self._database}"

    def new_database(self) -> str:
        """For DATABASE_URL: an empty database beside ours. It lasts as long as the server."""
        name = f"other_{secrets.token_hex(4)}"
        with psycopg.connect(self._maintenance_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgres://{_USER}:{self._password}@127.0.0.1:{self.port}/{name}"

    def start(self) -> Self:
        """Make a cluster and start it. Raises NotInstalled, or StartFailed with the end of its log."""
        initdb, postgres = find("initdb"), find("postgres")
        if initdb is None or postgres is None:
            raise NotInstalled("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
        self._user = _unprivileged_user()
        self.directory = Path(tempfile.mkdtemp(prefix="credboard-postgres-"))
        try:
            if self._user is not None:
                os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
            self._initialise(initdb)
            self._run(postgres)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it and remove everything it held."""
        if self._server is not None:
            self._server.stop(ask=signal.SIGINT)  # PostgreSQL's "fast": does not wait for clients to leave
            self._server = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _initialise(self, initdb: Path) -> None:
        password_file = self.directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password + "\n", encoding="utf-8")
        if self._user is not None:
            os.chown(password_file, self._user.pw_uid, self._user.pw_gid)
        command = [
            str(initdb),
            f"--pgdata={self.directory / 'data'}",
            f"--username={_USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
            *_sort_order(initdb),
        ]
        done = _call(command, cwd=self.directory, user=self._user)
        if done.returncode != 0:
            raise StartFailed(f"initdb ended with status {done.returncode}.\n{done.stdout}")
        password_file.unlink()

    def _run(self, postgres: Path) -> None:
        self.port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "timezone": "UTC",
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        self._server = ServerProcess(
            [postgres, "-D", self.directory / "data", *arguments],
            log=self.directory / "postgres.log",
            cwd=self.directory,
            user=self._user,
        )
        self._server.wait_until_ready(self._creates_database)

    def _creates_database(self) -> bool:
        """Make our database; False while the server does not let anybody in yet."""
        try:
            with psycopg.connect(self._maintenance_url, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{self._database}"'.encode())
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _maintenance_url(self) -> str:
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/postgres"


def _call(command: list[str], *, cwd: Path, user: pwd.struct_passwd | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else (),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _sort_order(initdb: Path) -> list[str]:
    """ICU's en-US where this build knows ICU (the names are the same on every machine), else bytes."""
    options = _call([str(initdb), "--help"], cwd=Path("/")).stdout
    if "--icu-locale" in options:
        return ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
    return ["--locale=C"]


def _unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then as `postgres`, which its package makes, or as `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotInstalled("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody")
