"""The reference of the checks says what they say today."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from scanner.check import all_checks
from scanner.check_docs import check_docs
from tests.checks.test_cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_the_page_is_what_the_checks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == check_docs(CASES), "run manage.py checkdocs"


def test_every_check_can_be_linked_to_by_code_and_name() -> None:
    headings = re.findall(r"^## (.+)$", check_docs(CASES), re.MULTILINE)

    assert headings == [*(f"{one.code} {one.name}" for one in all_checks().values()), "Retired codes"]


def test_every_section_says_why_it_matters_and_how_to_fix_it() -> None:
    page = check_docs(CASES)

    assert page.count("**Why it matters.** ") == page.count("**How to fix.** ") == len(all_checks())


def test_a_stale_page_fails_the_gate(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "checks").symlink_to(Path(__file__).parent)
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"run manage\.py checkdocs"):
        call_command("checkdocs", "--check")
    call_command("checkdocs")
    call_command("checkdocs", "--check")
