"""Every command of README.md and docs/get-started.md is run, in the order in which it stands there.

kubectl and Helm speak to a real API server, manage.py works with a database of its own. What cannot be run here by the
words of the page is exempt, and nothing else is:

- `make run` takes a port that may be in use and ends with Ctrl-C, and `make test` would run this test. COVERED has what
  `make` is seen to start for each, and the test that starts the same.
- `docker` needs an engine. Of `docker compose` the services, profiles and arguments are compared with
  docker-compose.yml, whose parts tests/shipping runs; each step of the Dockerfile is a script that tests/shipping runs.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from tests.docs_blocks import ROOT, Command, blocks, commands
from tests.rig import binaries, parts
from tests.rig.apiserver import KubeApiServer

PAGES: Final = ("README.md", "docs/get-started.md")
#: What a test cannot run by the words of the page → what `make` is seen to start, and the test that runs that.
#: `make test` runs this very suite, so whoever reads this in a test has run it.
COVERED: Final = {
    "make run": ("manage.py up ", "tests/test_up.py::test_from_nothing_to_a_matrix_and_back_to_nothing"),
    "make run ARGS=--demo": (
        "manage.py up --demo",
        "tests/test_up.py::test_without_a_password_one_is_printed_once_and_must_be_changed",
    ),
    "make test": ("-m pytest", "tests/test_docs_workflows.py::test_the_gate_is_lint_and_test"),
    "docker build --tag registry.example.com/credboard:0.1.0 .": (
        "",
        "tests/shipping/test_image.py::test_every_role_starts_from_the_image_and_leaves_it_as_it_is",
    ),
    # The registry is the reader's.
    "docker push registry.example.com/credboard:0.1.0": (
        "",
        "tests/shipping/test_image.py::test_every_role_starts_from_the_image_and_leaves_it_as_it_is",
    ),
}
#: Commands that say by their exit status what they found: 1 is an answer as well, 2 is "could not look".
TELLS_BY_STATUS: Final = {"scan": {0, 1}, "explain": {0, 1}}
#: What is there before somebody follows the pages: a team at work.
TEAM: Final = "team-vision"
RUN_BY_US: Final = {"kubectl", ".venv/bin/python", "helm"}

# A page is a dozen programs that start one after the other, on an API server of its own.
pytestmark = pytest.mark.timeout(600)


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


@pytest.fixture(scope="module", name="machine", params=PAGES)
def _machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Machine]]:
    """The page, and a new machine to follow it on: with an API server of its own, since pages name what they make."""
    tools = [str(program(name).parent) for name in ("kubectl", "helm", "kube-apiserver", "etcd")]
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in (".venv", ".git", "data", "site", "staticfiles"):
            (folder / path.name).symlink_to(path)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # A link to a virtual environment's Python would not find its packages.
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
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
        yield request.param, machine
    shutil.rmtree(folder)


def _populate(server: KubeApiServer) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": TEAM}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}
    server.apply([namespace, account])


def test_every_command_works_in_the_order_of_the_page(machine: tuple[str, Machine]) -> None:
    page, on = machine
    ran = 0
    for command in commands(page):
        if command.words[0] not in RUN_BY_US:
            continue
        done = on.run(command.text)
        assert done.returncode in _statuses(command), f"{command.where}: {command.text}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command.where}: {done.stderr}"
        if command.words[:2] == ["helm", "install"]:
            _is_installed(on, command)
        ran += 1
    assert ran
    if page == "docs/get-started.md":
        scanned = on.run(".venv/bin/python manage.py cluster")
        assert "prod\t" in scanned.stdout, "the page ends with a cluster that is scanned"


def _statuses(command: Command) -> set[int]:
    words = command.words
    if "manage.py" in words:
        return TELLS_BY_STATUS.get(words[words.index("manage.py") + 1], {0})
    return {0}


def _is_installed(on: Machine, command: Command) -> None:
    """The API server took what the chart makes of the page's values."""
    done = on.run("kubectl get deployments --namespace credboard --output name")
    made = {line.partition("/")[2] for line in done.stdout.split()}
    assert {"credboard-beat", "credboard-web", "credboard-worker"} <= made, f"{command.where}: {done.stdout}"


ALL = [command for page in PAGES for command in commands(page)]


@pytest.mark.parametrize("command", ALL, ids=lambda command: f"{command.where} {command.text[:50]}")
def test_every_command_is_run_or_covered_by_a_test_that_is_named(command: Command) -> None:
    if command.words[:2] == ["docker", "compose"]:
        _check_compose(command)
    elif command.words[0] not in RUN_BY_US:
        assert command.text in COVERED, f"{command.where}: say in COVERED which test runs {command.text!r}"


@pytest.mark.parametrize("text", COVERED)
def test_what_covers_a_command_is_there_and_starts_the_same(text: str) -> None:
    started, test = COVERED[text]

    assert text in {command.text for command in ALL}, "no page has this command any more"
    assert _is_test(test)
    if text.startswith("make "):
        words = shlex.split(text)
        done = subprocess.run([words[0], "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True)
        assert any(started in line for line in done.stdout.splitlines())


def _is_test(name: str) -> bool:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return any(isinstance(one, ast.FunctionDef) and one.name == function for one in tree.body)


def _check_compose(command: Command) -> None:
    """That its services, profiles and our own arguments exist; tests/shipping runs what is behind them."""
    words = shlex.split(command.text)
    services = _compose()["services"]
    rest = words[2:]
    if rest[0] == "--profile":
        assert any(rest[1] in service.get("profiles", ()) for service in services.values()), command.where
        rest = rest[2:]
    verb, *rest = rest
    options = [one for one in rest if one.startswith("--")]
    names = [one for one in rest if not one.startswith("--")]
    if verb == "up":
        assert set(options) <= {"--build", "--detach"}, command.where
        assert set(names) <= services.keys(), command.where
    elif verb == "logs":
        assert names, command.where
        assert set(names) <= services.keys(), command.where
    elif verb == "run":
        assert rest[0] == "--rm", command.where
        assert rest[1] in services, command.where
        _parses(rest[2], rest[3:])
    else:
        pytest.fail(f"{command.where}: `docker compose {verb}` is not known here")


def _compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return document


def _parses(name: str, arguments: list[str]) -> None:
    """Our command takes these arguments: the image's entry point is manage.py."""
    commands_of_ours = get_commands()
    assert name in commands_of_ours
    application = commands_of_ours[name]
    assert isinstance(application, str)
    load_command_class(application, name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("page", PAGES)
def test_pages_show_only_blocks_that_are_run(page: str) -> None:
    assert {block.language for block in blocks(page)} == {"sh"}
