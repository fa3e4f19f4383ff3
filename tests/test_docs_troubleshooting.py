"""Every message that docs/troubleshooting.md quotes is said somewhere, in these words."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTES = [line.removeprefix("> ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("> ")]


@cache
def said() -> str:
    """All sources and templates, without markup, and with strings that go over several lines as one."""
    paths = [
        ROOT / "manage.py",
        *ROOT.glob("templates/**/*.html"),
        *ROOT.glob("scanner/**/*.py"),
        *ROOT.glob("dashboard/**/*.py"),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(paths))
    text = re.sub(r'"\s*\n\s*f?"', "", text)
    return re.sub(r"\s+", " ", re.sub(r"</?b>", "", text))


def test_there_are_at_least_twenty_symptoms() -> None:
    assert len(set(QUOTES)) >= 20


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quoted_message_is_said_in_these_words(quote: str) -> None:
    for part in quote.split("…"):
        assert part.strip() in said()
