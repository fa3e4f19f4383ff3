"""`manage.py scan` against the demo cluster: no database, three exit statuses, and nothing mistaken for fine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core.management import CommandError, call_command

from dashboard.demo.server import DemoCluster

ROOT = Path(__file__).parents[2]


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(where: str, *pull_secrets: str) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "main", "image": "quay.io/team/app:1"}],
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
    }
    metadata = {"name": "app", "namespace": where, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


OBJECTS = [namespace("broken"), namespace("broken-too"), namespace("empty"), pod("broken", "regcred")]


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False) as server:
        yield server


@pytest.fixture(scope="module")
def closed() -> Iterator[DemoCluster]:
    with DemoCluster(objects=OBJECTS, kubelet=False, closed=("broken-too",)) as server:
        yield server


def scan(server: DemoCluster, folder: Path, *arguments: str, token: str | None = None) -> tuple[int, str]:
    path = server.kubeconfig(folder / "kubeconfig", token=token)
    out, status = StringIO(), 0
    try:
        call_command("scan", "--kubeconfig", str(path), *arguments, stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, out.getvalue()


def statuses(text: str) -> dict[str, str]:
    return {one["name"]: one["status"] for one in json.loads(text)["namespaces"]}


def test_something_critical_ends_with_1_and_namespaces_are_sorted_by_name(demo: DemoCluster, tmp_path: Path) -> None:
    status, text = scan(demo, tmp_path, "--format", "json")

    found = statuses(text)
    assert status == 1
    assert (found["broken"], found["empty"]) == ("critical", "ok")
    assert list(found) == sorted(found)
    assert json.loads(text).keys() == {"cluster", "scanned_at", "namespaces"}


def test_only_the_named_namespaces_are_read(demo: DemoCluster, tmp_path: Path) -> None:
    demo.requests.clear()

    status, text = scan(demo, tmp_path, "--format=json", "--namespace", "empty", "--namespace", "broken-too")

    assert (status, statuses(text)) == (0, {"broken-too": "ok", "empty": "ok"})
    assert not any("namespaces/broken/" in str(request) for request in demo.requests)


def test_what_may_not_be_read_is_unknown_and_the_others_are_read_one_by_one(
    closed: DemoCluster, tmp_path: Path
) -> None:
    status, text = scan(closed, tmp_path, "--format", "json")

    found = statuses(text)
    assert (status, found["broken"], found["broken-too"], found["empty"]) == (1, "critical", "unknown", "ok")


def test_who_may_not_even_list_namespaces_is_told_of_the_option(demo: DemoCluster, tmp_path: Path) -> None:
    token = demo.add_user("stranger", ())

    with pytest.raises(CommandError, match="--namespace") as failure:
        scan(demo, tmp_path, token=token)

    assert failure.value.returncode == 2


def test_a_namespace_that_is_not_there_is_a_failure(demo: DemoCluster, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere") as failure:
        scan(demo, tmp_path, "--namespace", "nowhere")

    assert failure.value.returncode == 2


def test_the_table_has_no_colour_unless_asked_and_never_with_no_color(
    demo: DemoCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in scan(demo, tmp_path)[1]
    assert "\x1b[31mcritical" in scan(demo, tmp_path, "--force-color")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in scan(demo, tmp_path, "--force-color")[1]


def test_junit_is_a_suite_for_each_namespace(demo: DemoCluster, tmp_path: Path) -> None:
    _, text = scan(demo, tmp_path, "--format", "junit")

    assert {"broken", "empty"} <= {suite.get("name") for suite in ET.fromstring(text)}


def test_it_runs_without_a_database_and_says_what_failed_on_stderr(tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}
    command = [sys.executable, "manage.py", "scan", "--kubeconfig", str(tmp_path / "missing")]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no kubeconfig" in done.stderr


def test_with_an_unreachable_database_it_still_scans(demo: DemoCluster, tmp_path: Path) -> None:
    path = demo.kubeconfig(tmp_path / "kubeconfig")
    environment = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}
    command = [sys.executable, "manage.py", "scan", "--kubeconfig", str(path), "--namespace", "empty"]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 Namespace: 0 critical, 0 unknown, 0 warning, 1 ok\n"
