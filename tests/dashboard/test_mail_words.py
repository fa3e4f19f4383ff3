"""Words of others in a mail: one line, printable, of a bounded length."""

from __future__ import annotations

import pytest

from dashboard.mail.layout import LONGEST_SENTENCE, clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\tand\r\nmore", "two lines and more"),
        ("\u202egnirts", "gnirts"),
        ("x" * 10_000, "x" * (LONGEST_SENTENCE - 1) + "…"),
        ("\x00\x01\x02", ""),
    ],
)
def test_words_of_others_are_one_printable_line(text: str, expected: str) -> None:
    assert clean(text) == expected
