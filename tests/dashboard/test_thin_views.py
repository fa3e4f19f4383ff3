"""Views stay thin: they ask one question and render. What they ask is a QuerySet method, with a name and tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2].joinpath("dashboard")
VIEWS = sorted([*DASHBOARD.glob("views/*.py"), *DASHBOARD.glob("api/resources/*.py")])
API = sorted(DASHBOARD.glob("api/**/*.py"))
QUERIES = {"filter", "exclude", "annotate", "aggregate", "raw", "extra"}
LONGEST = 15


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def name(path: Path) -> str:
    return str(path.relative_to(DASHBOARD))


@pytest.mark.parametrize("path", sorted({*VIEWS, *API}), ids=name)
def test_a_view_builds_no_query(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in QUERIES:
            pytest.fail(f"{path.name}:{node.lineno} calls .{node.func.attr}(): give it a name as a QuerySet method")


@pytest.mark.parametrize("path", VIEWS, ids=name)
def test_a_view_has_at_most_fifteen_lines(path: Path) -> None:
    for function in functions(path):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert lines <= LONGEST, f"{path.name}: {function.name} has {lines} lines; move what it does out of the view"


def test_there_are_views_to_look_at() -> None:
    assert {path.stem for path in VIEWS} >= {"matrix", "cells", "namespaces", "health"}
