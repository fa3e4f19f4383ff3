"""Fenced blocks of a Markdown page, and the commands in them, for the tests that run what the documentation says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language ("" without one), its text without the indentation of the fence, and its line."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a block of shell, with its continued lines joined and without its comment."""

    page: str
    line: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        return self.text.split()


def blocks(page: str) -> list[Block]:
    """All of `page`, a path from the root of the project."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, match["language"], body))
    return found


def commands(page: str) -> list[Command]:
    """The commands of all blocks of shell in `page`, in order."""
    found = []
    for block in blocks(page):
        if block.language != "sh":
            continue
        pending = ""
        for offset, line in enumerate(block.text.splitlines(), start=1):
            pending += line
            if pending.endswith("\\"):
                pending = pending[:-1]
                continue
            command = re.sub(r"\s+#\s.*$", "", pending).strip()
            pending = ""
            if command and not command.startswith("#"):
                found.append(Command(page, block.line + offset, re.sub(r"\s{2,}", " ", command)))
        assert not pending, f"{page}:{block.line} ends in the middle of a command"
    return found
