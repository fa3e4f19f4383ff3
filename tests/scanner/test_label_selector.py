"""Label selectors as apimachinery's labels.Parse reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.label_selector import InvalidSelector, LabelRule, parse_label_selector

LABELS = {"team": "vision", "tier": "", "size": "10", "example.com/kind": "ml"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("team", True),
        ("!team", False),
        ("! nope", True),
        ("team=vision", True),
        ("team == vision , tier", True),
        ("team=vision,tier=gold", False),
        ("tier=", True),
        ("tier=,team", True),
        ("team!=vision", False),
        ("nope!=vision", True),
        ("team in (nlp, vision)", True),
        ("team in(nlp)", False),
        ("nope in (a)", False),
        ("team notin (nlp)", True),
        ("nope notin (a)", True),
        ("tier in (,a)", True),
        ("tier in (a)", False),
        ("size>9", True),
        ("size < 10", False),
        ("team>1", False),
        ("nope>1", False),
        ("example.com/kind=ml", True),
        ("example.com/kind=ml, !nope", True),
    ],
)
def test_a_selector_matches_as_the_api_server_would(selector: str, matches: bool) -> None:
    assert parse_label_selector(selector).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "a in (", "a in ()", "a in b", "a b", "a=b c", "a=b,", ",a", "=a", "!", "!a=b", "a in (b c)", "a>b", "-a",
        "a=-b", "a/b/c", "UP.example/x", "x" * 64, "a=" + "x" * 64, "a=b,,c", "a)",
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidSelector, match=r"."):
        parse_label_selector(text)


@given(st.text(max_size=60) | st.text(alphabet="ab=!<>(), \nin/.-", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rules = parse_label_selector(text).rules
    except InvalidSelector:
        return
    assert all(isinstance(rule, LabelRule) for rule in rules)
