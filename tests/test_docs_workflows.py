"""The workflows of GitHub and the hooks of pre-commit: they run what the gate runs, with as few rights as will do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [path.stem for path in WORKFLOWS]


def workflow(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))
    return document


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", ())]


def test_the_workflow_runs_the_gate_and_nothing_else() -> None:
    commands = [step["run"] for step in steps("ci") if "run" in step]

    assert commands == [".ci/run"]
    assert "services" not in workflow("ci")["jobs"]["gate"]


def test_the_gate_is_lint_and_test() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    commands = [line for line in script if line and not line.startswith("#")]

    assert commands[-2:] == ["make lint", "make test"]


def test_nothing_is_released_that_did_not_pass_the_gate() -> None:
    jobs = workflow("release")["jobs"]

    assert jobs["gate"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["publish"]["needs"] == "gate"


@pytest.mark.parametrize("name", NAMES)
def test_rights_are_given_job_by_job(name: str) -> None:
    document = workflow(name)

    assert document["permissions"] == {}
    assert all("permissions" in job for job in document["jobs"].values())


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_to_commits_with_their_version_beside_them(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8")
    used = re.findall(r"uses: (?!\./)(.+)", text)

    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used), used
    assert len({one.split("@")[0]: one for one in used}) == len(set(used)), "one version of each action"


@pytest.mark.parametrize("name", NAMES)
def test_no_token_is_left_in_the_checkout(name: str) -> None:
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_an_event_is_put_into_a_script(name: str) -> None:
    assert not [step["run"] for step in steps(name) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_workflows_follow_the_schema_and_end_by_themselves(schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def script(step_name: str) -> str:
    """What a step of the release runs."""
    (found,) = [step["run"] for step in steps("release") if step.get("name") == step_name]
    return str(found)


def run_lines(text: str, *starts: str, folder: Path, **environment: str) -> None:
    """The lines of a step that begin so, as GitHub runs them."""
    lines = [line for line in text.splitlines() if line.startswith(starts)]
    assert lines
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "\n".join(lines)]
    subprocess.run(command, cwd=folder, env={"PATH": os.environ["PATH"], **environment}, check=True)


def test_the_registry_of_a_release_has_no_capitals(tmp_path: Path) -> None:
    written = tmp_path / "env"

    run_lines(
        script("Sign in to the registry"),
        "echo",
        folder=tmp_path,
        GITHUB_REPOSITORY_OWNER="Example-Org",
        GITHUB_ENV=str(written),
    )

    assert written.read_text("utf-8") == "REGISTRY=ghcr.io/example-org\n"


def test_the_chart_of_a_release_names_the_image_of_the_release(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "helm", tmp_path / "helm")

    run_lines(script("Publish the chart"), "sed", "grep", folder=tmp_path, REGISTRY="ghcr.io/example-org")

    values = yaml.safe_load((tmp_path / "helm" / "values.yaml").read_text("utf-8"))
    before = yaml.safe_load((ROOT / "helm" / "values.yaml").read_text("utf-8"))
    assert values["image"].pop("repository") == "ghcr.io/example-org/credboard"
    assert before["image"].pop("repository") == "credboard"
    assert values == before


def test_the_notes_of_a_release_are_those_of_its_version(tmp_path: Path) -> None:
    text = (
        "# Changelog\n\n## Unreleased\n\nSoon.\n\n## 0.2.0 (2030-01-31)\n\n- New.\n\n## 0.1.0 (2029-01-31)\n\n- Old.\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")

    run_lines(script("Make the release"), "awk", "grep", folder=tmp_path, VERSION="v0.2.0")

    assert (tmp_path / "notes.md").read_text("utf-8").strip() == "- New."


def test_the_python_of_the_gate_is_the_oldest_supported_one_and_that_of_the_image() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    oldest = pyproject["project"]["requires-python"].removeprefix(">=")
    image = re.search(r"PYTHON_IMAGE=python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text("utf-8"))

    assert oldest in workflow("ci")["jobs"]["gate"]["strategy"]["matrix"]["python"]
    assert image is not None
    assert image[1] == oldest


def test_hooks_run_tools_of_the_gate_and_download_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    lint = (ROOT / "Makefile").read_text("utf-8")

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        tool, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        command = " ".join([tool.removeprefix(".venv/bin/"), *(one for one in arguments if one != "--force-exclude")])
        assert f"$(BIN)/{command}" in lint, f"make lint does not run {command}"


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    chart = yaml.safe_load((ROOT / "helm" / "Chart.yaml").read_text("utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert (chart["version"], chart["appVersion"]) == (project, project)
    assert re.search(rf"^## {re.escape(project)} \(|^To be {re.escape(project)}[, ]", changelog, re.MULTILINE)


def test_the_licence_is_the_one_that_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license"]
    text = (ROOT / "LICENSE").read_text("utf-8")

    assert project == "Apache-2.0"
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
