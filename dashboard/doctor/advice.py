"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Level(StrEnum):
    """`problem`: something does not work. `warning`: it works, and should be otherwise, or it could not be asked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`about` names the part ("broker", "cluster prod-eu"), `found` is a sentence, `remedy` what to do ("" for ok)."""

    level: Level
    about: str
    found: str
    remedy: str = ""

    @classmethod
    def ok(cls, about: str, found: str) -> Self:
        return cls(level=Level.OK, about=about, found=found)

    @classmethod
    def warning(cls, about: str, found: str, remedy: str) -> Self:
        return cls(level=Level.WARNING, about=about, found=found, remedy=remedy)

    @classmethod
    def problem(cls, about: str, found: str, remedy: str) -> Self:
        return cls(level=Level.PROBLEM, about=about, found=found, remedy=remedy)
