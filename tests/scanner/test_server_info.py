from __future__ import annotations

import pytest

from scanner.cluster.server_info import ServerVersion, server_info


@pytest.mark.parametrize(
    ("major", "minor", "number"),
    [("1", "34", 34), ("1", "31+", 31), ("2", "3", None), ("1", "", None), ("1", "x", None), ("1", "9" * 99, None)],
)
def test_the_minor_version_is_a_number_or_unknown(major: str, minor: str, number: int | None) -> None:
    assert server_info(ServerVersion(git_version="v", major=major, minor=minor), {}).minor == number


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 21 Nov 2026 99:12:44 GMT", "Sat, 21 Nov 2026 06:12:44 -0000"])
def test_a_clock_that_cannot_be_read_is_none(date: str) -> None:
    assert server_info(ServerVersion(), {"Date": date}).clock is None


def test_a_version_is_one_printable_line() -> None:
    assert server_info(ServerVersion(git_version="v1\n\x1b[31m" + "x" * 99), {}).version.isprintable()
