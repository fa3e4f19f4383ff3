"""The steps of the Dockerfile, run without Docker: the same scripts, and the commands that containers start."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from dashboard.demo.server import DemoCluster
from tests.rig.process import ServerProcess, accepts_connections, free_port, wait_until
from tests.rig.wheels import ROOT, wheelhouse
from tests.shipping.conftest import BARE, Container, listing

pytestmark = pytest.mark.timeout(300)
PATIENCE = 180
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")

    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_every_script_that_the_dockerfile_runs_is_copied_before() -> None:
    copied: set[str] = set()
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY docker/"):
            copied.add(line.split()[1])
        for script in re.findall(r"docker/[a-z]+\.sh", line.partition("RUN")[2]):
            assert script in copied
    assert copied == {f"docker/{path.name}" for path in (ROOT / "docker").glob("*.sh")}


def test_the_folders_that_the_dockerfile_copies_are_let_through_to_it() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source.split("/")[0] for line in copies for source in line.split()}

    assert sources <= let_through
    assert all((ROOT / source).exists() for source in let_through)


def test_the_image_runs_as_nobody_in_particular_and_ends_on_sigterm() -> None:
    assert "\nUSER 10001:10001\n" in DOCKERFILE
    assert 'ENTRYPOINT ["tini", "--", "python", "manage.py"]' in DOCKERFILE
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE


def test_the_image_leaves_no_volumes_without_a_name_behind() -> None:
    assert "VOLUME" not in DOCKERFILE  # each container that mounts nothing there would make one


def test_a_health_check_starts_neither_django_nor_celery() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "dashboard.alive", "beat"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert "tempfile" in done.stderr
    assert not re.findall(r"\b(?:celery|django|kombu)\b", done.stderr)


def test_the_image_is_of_the_python_that_the_tests_run_on() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert f"PYTHON_IMAGE=python:{version}-slim" in DOCKERFILE


def test_the_wheelhouse_holds_wheels_only(image: Path) -> None:
    assert {path.suffix for path in wheelhouse().iterdir()} == {".whl"}


def test_the_image_holds_what_runs_and_no_tool_that_installs(image: Path) -> None:
    installed = {path.name for path in (image / "venv" / "lib").glob("python*/site-packages/*")}

    assert {path.name for path in image.iterdir()} == {
        "manage.py", "__pycache__", "dashboard", "scanner", "templates", "static", "staticfiles", "venv",
    }  # fmt: skip
    assert "django" in installed
    assert not installed & {"pip", "setuptools", "wheel", "pytest", "mypy"}
    assert not list((image / "venv").rglob("kubernetes/aio"))


def test_static_files_are_built_in_with_hashed_names(image: Path) -> None:
    manifest = json.loads((image / "staticfiles" / "staticfiles.json").read_text())

    assert (image / "staticfiles" / manifest["paths"]["credboard.css"]).is_file()


def test_the_bill_of_materials_names_every_library_of_the_lock(image: Path) -> None:
    tools = f"{Path(sys.executable).parent}:{BARE['PATH']}"

    done = subprocess.run(
        [ROOT / "docker" / "sbom.sh", image], env={**BARE, "PATH": tools}, capture_output=True, text=True, check=True
    )

    document = json.loads(done.stdout)
    locked = re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    told = {(one["name"].lower().replace("_", "-").replace(".", "-"), one["version"]) for one in document["components"]}
    assert document["bomFormat"] == "CycloneDX"
    # What the lock has for other systems and Pythons only is not installed here.
    assert len(set(locked) & told) > 50
    assert {name for name, _ in told} <= {name for name, _ in locked}


def test_every_role_starts_from_the_image_and_leaves_it_as_it_is(container: Container) -> None:
    before = listing(container.image)
    with DemoCluster(kubelet=False, closed=()) as demo:
        kubeconfig = demo.kubeconfig(container.data / "kubeconfig")
        migrated = container.run("start", "migrate")
        container.run("cluster", "demo", "--kubeconfig", str(kubeconfig), "--demo")
        port = free_port()
        container.environment["CREDBOARD_ALLOWED_HOSTS"] = "credboard.example.com"  # the health check is let in as well
        container.start("start", "web", "--bind", f"127.0.0.1:{port}", "--threads", "2")
        container.start("start", "worker", "--concurrency", "1")
        container.start("start", "beat")

        wait_until(lambda: _answers(port, "/healthz"), "the web answers", seconds=PATIENCE)
        wait_until(lambda: container.is_alive("worker"), "the worker turns", seconds=PATIENCE)
        wait_until(lambda: container.is_alive("beat"), "beat turns", seconds=PATIENCE)
        wait_until(lambda: _scans(container, "done") > 0, "a scan ends", seconds=PATIENCE)
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=60).read().decode()
        style = re.search(r'href="(/static/credboard\.[0-9a-f]+\.css)"', page)

    assert "one-time password" in migrated
    assert style is not None
    assert _answers(port, style[1])
    assert listing(container.image) == before


def test_under_a_path_prefix_pages_and_files_are_where_links_say(migrated_container: Container) -> None:
    container = migrated_container
    container.environment["CREDBOARD_PATH_PREFIX"] = "/credboard"
    port = free_port()
    container.start("start", "web", "--bind", f"127.0.0.1:{port}")
    wait_until(lambda: _answers(port, "/healthz"), "the web answers", seconds=PATIENCE)

    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/credboard/", timeout=60)

    body = page.read().decode()
    links = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', body))
    assert page.url == f"http://127.0.0.1:{port}/credboard/sign-in/?next=/credboard/"
    assert any(link.endswith(".css") for link in links)
    assert all(link.startswith("/credboard/") for link in links)
    assert all(_answers(port, link) for link in links)


def test_migrating_waits_for_a_database_that_is_starting_and_tells_when_it_waited_long_enough(
    container: Container,
) -> None:
    container.environment["DATABASE_URL"] = f"postgres://credboard:of-no-use@127.0.0.1:{free_port()}/credboard"

    with pytest.raises(AssertionError, match=r"PostgreSQL does not run there.* \(OperationalError\)") as failure:
        container.run("start", "migrate", "--wait", "2")

    assert "of-no-use" not in str(failure.value)


def test_a_second_migration_changes_nothing_and_makes_no_second_operator(migrated_container: Container) -> None:
    again = migrated_container.run("start", "migrate")

    assert "No migrations to apply" in again
    assert "one-time password" not in again


def test_keys_that_are_there_are_kept(container: Container) -> None:
    keys = container.data / "keys"
    before = {path.name: path.read_text() for path in keys.iterdir()}

    container.run("makekeys", str(keys), "--database", "postgres:5432")

    after = {path.name: path.read_text() for path in keys.iterdir()}
    assert before.items() <= after.items()
    assert after["database-url"] == f"postgres://credboard:{after['database-password']}@postgres:5432/credboard"
    assert (keys / "secret-key").stat().st_mode & 0o777 == 0o400


def test_a_folder_that_cannot_be_written_is_named(container: Container) -> None:
    with pytest.raises(AssertionError, match=r"/nowhere/secret-key cannot be written: No such file or directory"):
        container.run("makekeys", "/nowhere")


def test_on_sigterm_a_worker_ends_the_scan_that_it_has_begun(migrated_container: Container) -> None:
    container = migrated_container
    with DemoCluster(kubelet=False, closed=()) as demo:
        demo.faults.hang(4, path="/api/v1/secrets")
        kubeconfig = demo.kubeconfig(container.data / "kubeconfig")
        container.run("cluster", "demo", "--kubeconfig", str(kubeconfig), "--interval", "3600")  # one scan only
        worker = container.start("start", "worker", "--concurrency", "1")
        container.start("start", "beat")
        wait_until(lambda: _scans(container, "running") > 0, "a scan begins", seconds=PATIENCE)

        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: _has_ended(worker), "the worker ends", seconds=PATIENCE)

    assert (_scans(container, "running"), _scans(container, "failed"), _scans(container, "done")) == (0, 0, 1)


def test_the_demo_cluster_can_be_a_container_of_its_own(container: Container) -> None:
    port, kubeconfig = free_port(), container.data / "demo.kubeconfig"

    container.start(
        "-m", "dashboard.demo", "--port", str(port), "--server", "http://demo:6443", "--kubeconfig", str(kubeconfig)
    )

    wait_until(lambda: accepts_connections(port), "the demo cluster answers", seconds=PATIENCE)
    assert yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == "http://demo:6443"


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _has_ended(process: ServerProcess) -> bool:
    return process._process.poll() is not None


def _scans(container: Container, state: str) -> int:
    database = sqlite3.connect(container.data / "credboard.sqlite3", timeout=60)
    try:
        return int(database.execute("SELECT count(*) FROM scanner_scan WHERE state = ?", [state]).fetchone()[0])
    finally:
        database.close()
