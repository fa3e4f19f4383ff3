"""Sentences stay short, on one line and free of what a message should not have held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.words import days, listed, of_kind, shown, without_secrets

NOW = datetime(2026, 9, 1, tzinfo=UTC)


@given(st.text(max_size=400))
def test_shown_text_is_one_bounded_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 200


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_names_are_listed_and_the_rest_counted(names: list[str], text: str) -> None:
    assert listed(names) == text


def test_one_or_two_are_named_and_more_are_counted() -> None:
    assert [of_kind("Pod", "abc"[:n]) for n in (1, 2, 3)] == ["Pod a", "Pods a and b", "3 Pods"]


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (1, "in less than a day"),
        (-1, "less than a day ago"),
        (24, "in 1 day"),
        (-49, "2 days ago"),
        (0, "less than a day ago"),
    ],
)
def test_days_are_counted_whole(hours: int, text: str) -> None:
    assert days(NOW + timedelta(hours=hours), now=NOW) == text


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("GET https://u:hunter2@quay.io/v2/: 401", "GET https://***@quay.io/v2/: 401"),
        ("GET https://quay.io/t?access_token=hunter2&scope=x", "GET https://quay.io/t?access_token=***&scope=x"),
        ("https://s3/blob?X-Amz-Signature=hunter2&X-Amz-Date=1", "https://s3/blob?X-Amz-Signature=***&X-Amz-Date=1"),
        ("sent Authorization: Bearer abc123def456ghi", "sent Authorization: Bearer ***"),
        ("no basic auth credentials", "no basic auth credentials"),
        ("basic authentication is not supported", "basic authentication is not supported"),
        (
            'Www-Authenticate: Bearer realm="https://quay.io/v2/auth"',
            'Www-Authenticate: Bearer realm="https://quay.io/v2/auth"',
        ),
    ],
)
def test_a_message_loses_the_secrets_of_its_urls_only(message: str, kept: str) -> None:
    assert without_secrets(message) == kept


def test_a_message_is_cut() -> None:
    assert len(without_secrets("x" * 100_000)) == 2000
