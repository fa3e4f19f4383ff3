"""The worked examples of CONTRIBUTING.md, put into a copy of the project, pass what a new check or kind must."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_blocks import ROOT, blocks

PAGE = "CONTRIBUTING.md"
QUICK = ("-q", "-p", "no:cacheprovider", "-k", "HY99 or every or page or hugging")

# It starts pytest in the copy.


def example() -> dict[str, str]:
    """Paths and texts of the files: two of a check, two of a credential kind."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    files = re.findall(r"`((?:scanner|tests)/(?:checks|credentials)/[\w.-]+)`:", text)
    shown = [block.text for block in blocks(PAGE) if block.language in ("python", "yaml")]
    return dict(zip(files, shown, strict=True))


@pytest.fixture(scope="module", name="copy")
def _copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the example in it."""
    target = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("scanner", "dashboard", "tests", "docs", "templates", "static"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(ROOT / name, target / name)
    for path, text in example().items():
        (target / path).write_text(text, encoding="utf-8")
    return target


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def test_each_example_is_one_file_and_one_yaml_file() -> None:
    assert sorted(example()) == [
        "scanner/checks/hy99_many_pull_secrets.py",
        "scanner/credentials/hugging_face.py",
        "tests/checks/HY99.yaml",
        "tests/credentials/hugging-face.yaml",
    ]


def test_what_the_tests_insist_on_holds_for_them(copy: Path) -> None:
    written = run(copy, "manage.py", "checkdocs")
    assert written.returncode == 0, written.stderr

    done = run(copy, "-m", "pytest", "tests/checks", "tests/credentials", *QUICK)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "## HY99 many-pull-secrets" in (copy / "docs" / "checks.md").read_text(encoding="utf-8")


def test_they_are_in_the_style_of_the_project(copy: Path) -> None:
    paths = [path for path in example() if path.endswith(".py")]

    for command in (("check", "--no-cache"), ("format", "--check", "--no-cache")):
        done = run(copy, "-m", "ruff", *command, *paths)
        assert done.returncode == 0, done.stdout + done.stderr
