"""What to do when a real part cannot be had: skip and count, or fail where CI=true."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

_MARK = "real part missing: "


def in_ci() -> bool:
    """Whether this is the run that decides what lands: there every part must be."""
    return os.environ.get("CI", "").lower() == "true"


def reason(part: str, why: str) -> str:
    """The reason of a skip that is counted as a missing part."""
    return f"{_MARK}{part}: {why}"


def missing(part: str, why: str) -> NoReturn:
    """End the test that needs this part. Call it from the fixture that would have started it.

    On a person's machine the test is skipped, and the run's last lines count it. With CI=true it fails.
    """
    message = reason(part, why)
    if in_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def missing_part(report: pytest.TestReport) -> str | None:
    """The part whose absence skipped this test, or None if it ran or was skipped for another reason."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return None
    _, found, rest = report.longrepr[2].partition(_MARK)
    return rest.split(":", 1)[0] if found else None
