"""The product as it is shipped, `manage.py up --demo`, in processes of its own, and the demo cluster behind it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from tests.rig.process import ServerProcess, free_port

ROOT = Path(__file__).resolve().parents[2]
USER_HEADER = "kubeflow-userid"
OPERATOR = "operator@example.com"
#: Web, worker, beat, Valkey and the demo cluster start, and the first scan ends. Two busy cores take a third of it.
START_SECONDS = 180.0


class Product:
    """Everything that `make run` starts, on a free port, with a new database and a demo cluster of its own.

    Anyone may be somebody by the header USER_HEADER, as behind a mesh; OPERATOR is an operator, and so is the local
    user `admin`, who signs in with `password`.
    """

    def __init__(self) -> None:
        """Nothing starts before `start()`."""
        self.password = secrets.token_urlsafe(15)
        self.url = ""
        self._directory: Path | None = None
        self._server: ServerProcess | None = None
        self._log_read = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and return when the first scan has ended. Raises StartFailed with the end of its log."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._directory = Path(tempfile.mkdtemp(prefix="credboard-browser-"))
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CREDBOARD_", "DJANGO_", "KUBECONFIG"))
            and name not in ("DATABASE_URL", "REDIS_URL")
        }
        environment |= {
            "CREDBOARD_DATA_DIR": str(self._directory),
            "CREDBOARD_ADMIN_PASSWORD": self.password,
            "CREDBOARD_TRUSTED_PROXIES": "127.0.0.1",
            "CREDBOARD_OPERATORS": OPERATOR,
        }
        self._server = ServerProcess(
            [sys.executable, "manage.py", "up", "--demo", "--port", str(port)],
            log=self._directory / "up.log",
            cwd=ROOT,
            environment=environment,
        )
        try:
            self._server.wait_until_ready(self._shows_a_matrix, seconds=START_SECONDS, pause=0.5)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all of it, as Ctrl-C does."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _shows_a_matrix(self) -> bool:
        request = urllib.request.Request(f"{self.url}/", headers={USER_HEADER: OPERATOR})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return b'<table class="matrix">' in response.read()
        except OSError:
            return False

    def new_log(self) -> str:
        """What its processes have written since the last call."""
        assert self._directory is not None
        text = (self._directory / "up.log").read_text(encoding="utf-8", errors="replace")
        fresh, self._log_read = text[self._log_read :], len(text)
        return fresh

    def stored(self) -> bytes:
        """Every byte that it keeps on disk, its log included."""
        assert self._directory is not None
        return b"\n".join(path.read_bytes() for path in sorted(self._directory.rglob("*")) if path.is_file())

    @property
    def cluster(self) -> DemoApi:
        assert self._directory is not None
        return DemoApi(self._directory / "demo.kubeconfig")


class DemoApi:
    """The demo cluster's API, past Credboard: what `kubectl` would be used for."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        self._server: str = config["clusters"][0]["cluster"]["server"]
        self._token: str = config["users"][0]["user"]["token"]

    def ask(self, method: str, path: str, body: object = None, *, kind: str = "application/json") -> Any:
        """The answer as JSON; None for 404. Raises urllib.error.HTTPError for other refusals."""
        request = urllib.request.Request(
            f"{self._server}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def secret(self, namespace: str, name: str) -> Any:
        return self.ask("GET", f"namespaces/{namespace}/secrets/{name}")

    def pull_secrets(self, namespace: str, account: str) -> list[str]:
        """The names in a ServiceAccount's imagePullSecrets."""
        found = self.ask("GET", f"namespaces/{namespace}/serviceaccounts/{account}")
        return [entry["name"] for entry in found.get("imagePullSecrets") or ()]

    def link(self, namespace: str, account: str, names: list[str]) -> None:
        """Let these be all its imagePullSecrets."""
        patch = {"imagePullSecrets": [{"name": name} for name in names] or None}
        path = f"namespaces/{namespace}/serviceaccounts/{account}"
        self.ask("PATCH", path, patch, kind="application/merge-patch+json")

    def pods(self, namespace: str, start: str = "") -> list[Any]:
        """Those whose names begin with `start`."""
        found = self.ask("GET", f"namespaces/{namespace}/pods")["items"]
        return [pod for pod in found if pod["metadata"]["name"].startswith(start)]

    def phases(self, namespace: str, start: str = "") -> list[str]:
        return [pod["status"].get("phase", "") for pod in self.pods(namespace, start)]
