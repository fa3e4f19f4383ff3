"""Every command of README.md and docs/get-started.md is run, in the order in which it stands there.

kubectl and Helm speak to a real API server, manage.py works with a database of its own. What cannot run here beside the
others is in ELSEWHERE, with the test that runs it:

- `make run` goes on until Ctrl-C and takes a port: tests/test_up.py types it, with a free port.
- `make test` would run this test: PYTEST_ADDOPTS has it run one small test.
- `docker` needs an engine: a stand-in (tests/shipping/engine.py) takes the very words, and starts processes.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.docs_blocks import ROOT, Command, blocks, commands
from tests.rig import binaries, parts, postgres
from tests.rig.apiserver import KubeApiServer
from tests.rig.venv import installed

PAGES: Final = ("README.md", "docs/get-started.md")
#: How a command begins that another test runs → that test, in which the command or what it takes it from is named.
ELSEWHERE: Final = {
    "make run": ("tests/test_up.py", "test_from_nothing_to_a_matrix_and_back_to_nothing", '"make run"'),
    "make run ARGS=--demo": (
        "tests/test_up.py",
        "test_without_a_password_one_is_printed_once_and_must_be_changed",
        '"make run ARGS=--demo"',
    ),
    "make test": (
        "tests/test_docs_commands.py",
        "test_make_test_runs_a_test_on_postgresql_and_then_on_sqlite",
        '"make", "test"',
    ),
    "docker": (
        "tests/shipping/test_compose.py",
        "test_what_the_pages_say_to_type_into_docker_starts_the_whole_product",
        "DOCKER_COMMANDS",
    ),
}
#: Small, and of the database, so that both runs of `make test` take it.
ONE_TEST: Final = "tests/scanner/test_models.py::test_a_column_is_called_by_what_it_is_for"
#: Commands that say by their exit status what they found: 1 is an answer as well, 2 is "could not look".
TELLS_BY_STATUS: Final = {"scan": {0, 1}, "explain": {0, 1}}
#: What is there before somebody follows the pages: a team at work.
TEAM: Final = "team-vision"
RUN_BY_US: Final = {"kubectl", ".venv/bin/python", "helm"}


@dataclass(frozen=True, slots=True)
class Machine:
    """A checkout, a cluster, and the programs that the page takes for granted."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{command}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def program(name: str) -> Path:
    found = binaries.find(name)
    if found is None:
        parts.missing(name, "run `make binaries`")
    return found


@pytest.fixture(name="machine")
def _machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A new machine to follow the pages on: with an API server of its own, since they name what they make."""
    tools = [str(program(name).parent) for name in ("kubectl", "helm", "kube-apiserver", "etcd")]
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in (".venv", ".git", "data", "site", "staticfiles"):
            (folder / path.name).symlink_to(path)
    installed(folder / ".venv")
    with KubeApiServer() as server:
        _populate(server)
        environment = {
            "PATH": ":".join([*tools, os.environ["PATH"]]),
            "HOME": str(folder),
            "KUBECONFIG": str(server.kubeconfig(folder / "admin.kubeconfig")),
            "CREDBOARD_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": f"sqlite:///{folder / 'credboard.sqlite3'}",
            "CREDBOARD_SECRET_KEY": "of fifty characters and more, for this test and nothing else",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        machine = Machine(folder, environment)
        ready = machine.run(".venv/bin/python manage.py migrate --verbosity 0")
        assert ready.returncode == 0, ready.stderr
        yield machine
    shutil.rmtree(folder)


def _populate(server: KubeApiServer) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": TEAM}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}
    server.apply([namespace, account])


def test_every_command_works_in_the_order_of_the_pages(machine: Machine) -> None:
    ran = set()
    for command in ALL:
        if command.words[0] not in RUN_BY_US:
            continue
        done = machine.run(command.text)
        assert done.returncode in _statuses(command), f"{command.where}: {command.text}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command.where}: {done.stderr}"
        if command.words[:2] == ["helm", "install"]:
            _is_installed(machine, command)
        ran.add(command.page)
    assert ran == {*PAGES}
    scanned = machine.run(".venv/bin/python manage.py cluster")
    assert "prod\t" in scanned.stdout, "the pages end with a cluster that is scanned"


def _statuses(command: Command) -> set[int]:
    words = command.words
    if "manage.py" in words:
        return TELLS_BY_STATUS.get(words[words.index("manage.py") + 1], {0})
    return {0}


def _is_installed(on: Machine, command: Command) -> None:
    """The API server took what the chart makes of the page's values, of the image that the page had pushed."""
    done = on.run("kubectl get deployments --namespace credboard --output name")
    made = {line.partition("/")[2] for line in done.stdout.split()}
    assert {"credboard-beat", "credboard-web", "credboard-worker"} <= made, f"{command.where}: {done.stdout}"
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    image = on.run(f"kubectl get deployment credboard-web --namespace credboard --output {path}").stdout
    assert f"docker push {image}" in {one.text for one in ALL}, f"{command.where}: the chart takes {image}"


ALL = [command for page in PAGES for command in commands(page)]


@pytest.mark.parametrize("command", ALL, ids=lambda command: f"{command.where} {command.text[:50]}")
def test_every_command_is_run_here_or_by_a_test_that_is_named(command: Command) -> None:
    if command.words[0] not in RUN_BY_US:
        key = "docker" if command.words[0] == "docker" else command.text
        assert key in ELSEWHERE, f"{command.where}: say in ELSEWHERE which test runs {command.text!r}"


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_runs_a_command_elsewhere_is_there_and_names_it(command: str) -> None:
    path, name, words = ELSEWHERE[command]
    text = (ROOT / path).read_text(encoding="utf-8")
    (test,) = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == name]

    assert any(one.text.startswith(command) for one in ALL), "no page has this command any more"
    assert words in (ast.get_source_segment(text, test) or "")


def test_make_test_runs_a_test_on_postgresql_and_then_on_sqlite(tmp_path: Path) -> None:
    if postgres.find("postgres") is None:
        parts.missing("postgresql", "run `make system-packages`")
    # What the gate has fetched before it runs this: a test reaches nothing but this machine.
    fetched = [f"--old-file={target}" for target in ("system-packages", "binaries", "wheels")]
    # Without coverage, which this has no part in, and whose report of nothing takes longer than the test.
    narrowed = [ONE_TEST, "--nomigrations", "--no-cov", "-W", "ignore:Coverage disabled", "-p", "no:cacheprovider"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "XDG_CACHE_HOME") if name in os.environ}

    done = subprocess.run(
        ["make", "test", *fetched, f"VENV={installed(tmp_path / 'venv')}"],
        cwd=ROOT,
        env={**environment, "PYTEST_ADDOPTS": shlex.join(narrowed), "PYTEST_XDIST_AUTO_NUM_WORKERS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^database: (\w+)|^=+ (1 passed)", done.stdout, re.MULTILINE) == [
        ("PostgreSQL", ""),
        ("", "1 passed"),
        ("SQLite", ""),
        ("", "1 passed"),
    ]


@pytest.mark.parametrize("page", PAGES)
def test_pages_show_only_blocks_that_are_run(page: str) -> None:
    assert {block.language for block in blocks(page)} == {"sh"}
