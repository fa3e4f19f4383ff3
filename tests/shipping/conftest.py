"""Credboard as the image has it, in a folder that nothing writes to; and with the rights that the chart binds."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scanner import scan
from scanner.models import Cluster, Namespace
from scanner.scan import scan_namespace
from tests.rig import parts
from tests.rig.apiserver import KubeApiServer
from tests.rig.process import ServerProcess
from tests.rig.valkey import ValkeyServer
from tests.rig.wheels import ROOT, wheelhouse
from tests.scanner.scan.builders import pod
from tests.shipping.release import Release

#: What an image has in its environment: nothing of ours, and no way to an index.
BARE = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PIP_NO_INDEX": "1", "LANG": "C.UTF-8"}

DATABASE = "credboard.sqlite3"


@pytest.fixture(scope="session", name="image")
def _image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the image has as /opt/credboard, made by the script that makes it there.

    To install and compile it all takes half a minute, and nothing writes to it: so all workers of pytest-xdist share
    the one that whoever comes first makes.
    """
    if not wheelhouse().is_dir():
        parts.missing("wheels", "run `make wheels` to fetch them")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of the whole run; each worker has one in it
    target, made = folder / "image" / "credboard", folder / "image-is-made"
    with (folder / "image.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, or its process dies
        if not made.exists():
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run(
                [ROOT / "docker" / "install.sh", wheelhouse(), target],
                env={**BARE, "PYTHON": sys.executable},
                check=True,
                stdin=subprocess.DEVNULL,
            )
            made.touch()
    return target


@dataclass
class Container:
    """The processes of one installation, each started from the image with nothing else in its environment."""

    image: Path
    data: Path
    environment: dict[str, str]
    _processes: list[ServerProcess] = field(default_factory=list)

    def run(self, *arguments: str) -> str:
        """What `manage.py ARGUMENTS` prints. Raises AssertionError with all of it where it fails."""
        done = subprocess.run(
            [*self._python, "manage.py", *arguments],
            cwd=self.image,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_alive(self, role: str) -> bool:
        """What the health check of the container says."""
        command = [*self._python, "-m", "dashboard.alive", role]
        done = subprocess.run(command, cwd=self.image, env=self.environment, capture_output=True, check=False)
        return done.returncode == 0

    def start(self, *command: str) -> ServerProcess:
        """A process that lives until the test ends: `manage.py COMMAND`, or "-m" and a module."""
        arguments = command if command[0] == "-m" else ("manage.py", *command)
        log = self.data / f"{len(self._processes)}.log"
        process = ServerProcess([*self._python, *arguments], log=log, cwd=self.image, environment=self.environment)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.stop()

    @property
    def _python(self) -> list[str]:
        return [str(self.image / "venv" / "bin" / "python")]


@pytest.fixture(scope="session", name="keys")
def _keys(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys as `makekeys` makes them, to copy."""
    folder = tmp_path_factory.mktemp("keys")
    Container(image, folder, {**BARE, "CREDBOARD_DATA_DIR": str(folder)}).run("makekeys", str(folder))
    return folder


@pytest.fixture(scope="session", name="migrated")
def _migrated(image: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `start migrate` leaves it, with those keys, to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    _installation(image, folder, keys).run("start", "migrate")
    return folder / DATABASE


@pytest.fixture(name="container")
def _container(image: Path, keys: Path, tmp_path: Path, valkey: ValkeyServer) -> Iterator[Container]:
    """An installation with keys in files, as compose and the chart give them, and no database yet."""
    own = shutil.copytree(keys, tmp_path / "keys")
    container = _installation(image, tmp_path, own)
    container.environment["REDIS_URL"] = valkey.url
    yield container
    container.stop()


@pytest.fixture(name="migrated_container")
def _migrated_container(container: Container, migrated: Path) -> Container:
    """`container` after `start migrate`, which takes seconds."""
    shutil.copy(migrated, container.data / DATABASE)
    return container


def _installation(image: Path, folder: Path, keys: Path) -> Container:
    environment = {
        **BARE,
        "CREDBOARD_DATA_DIR": str(folder),
        "TMPDIR": str(folder),
        "CREDBOARD_SECRET_KEY_FILE": str(keys / "secret-key"),
        "CREDBOARD_FINGERPRINT_KEY_FILE": str(keys / "fingerprint-key"),
        "CREDBOARD_ENCRYPTION_KEYS_FILE": str(keys / "encryption-keys"),
        "DATABASE_URL": f"sqlite:///{folder / DATABASE}",
        "CREDBOARD_SCAN_INTERVAL": "5",
    }
    return Container(image, folder, environment)


@pytest.fixture(name="release")
def _release(apiserver: KubeApiServer, tmp_path: Path) -> Iterator[Callable[..., Release]]:
    """Makes releases with these values, and takes what they have in the cluster away again."""
    made: list[Release] = []

    def make(**values: Any) -> Release:
        made.append(Release(apiserver, tmp_path, **values))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture(name="team")
def _team(apiserver: KubeApiServer) -> str:
    """A Namespace whose one Pod lacks the Secret that it needs."""
    name = apiserver.create_namespace(annotations={"credboard.dev/owner": "ada@example.com"})
    apiserver.apply([pod(name)])
    return name


@pytest.fixture(name="no_broker")
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "tell_dispatcher", lambda: True)


@pytest.fixture(name="owned")
def _owned(release: Callable[..., Release], team: str) -> Callable[..., tuple[Release, Namespace]]:
    """A release, and `team` as its worker has scanned it; `cluster` then holds the web's own kubeconfig."""

    def make(**values: Any) -> tuple[Release, Namespace]:
        made = release(**values)
        cluster = Cluster.objects.create(name="ours", kubeconfig=str(made.kubeconfig("worker")), include=[team])
        namespace = Namespace.objects.create(cluster=cluster, name=team)
        scan_namespace(namespace)
        cluster.kubeconfig = str(made.kubeconfig("web"))
        cluster.save()
        return made, Namespace.objects.select_related("cluster").get(pk=namespace.pk)

    return make


def listing(folder: Path) -> dict[str, int]:
    """{path: time of its last change} of everything in `folder`."""
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            found[str(path.relative_to(folder))] = path.lstat().st_mtime_ns
    return found
