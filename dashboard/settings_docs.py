"""docs/settings.md, from the settings as they are declared and the checks as they are documented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from dashboard.env import Setting

_INTRO: Final = """\
# Settings

Written by `manage.py settingsdocs` from `dashboard/settings.py`; do not edit it by hand.

Each setting is one environment variable, and each variable `X` may come from a file instead: `X_FILE` is its path, as
Docker and Kubernetes mount secrets. ({paths} are paths themselves, and have no such form.)

A value that makes no sense stops every process at its start, with the name of
the variable, the value (but for secrets) and what it should be. A variable that begins with `CREDBOARD_` and is none
of these is warned of, with the nearest name that is one. With nothing set Credboard runs on this machine alone.
`manage.py doctor` looks at all of them together.
"""


def settings_docs(settings: Iterable[Setting], checks: Iterable[tuple[str, str]]) -> str:
    """The whole page as Markdown. `checks` are ids with what they mean."""
    settings = list(settings)
    paths = " and ".join(f"`{one.name}`" for one in settings if not one.may_be_in_file)
    lines = [_INTRO.format(paths=paths)]
    order = list(dict.fromkeys(one.section for one in settings))
    for section, members in groupby(
        sorted(settings, key=lambda one: order.index(one.section)), lambda one: one.section
    ):
        lines += [
            f"## {section}",
            "",
            "| Variable | Type | Default | What it is, and why |",
            "| --- | --- | --- | --- |",
        ]
        lines += [*map(_row, members), ""]
    lines += [*_checks(checks)]
    return "\n".join(lines) + "\n"


def _row(one: Setting) -> str:
    kind = ", ".join(part for part in (one.kind, one.unit, one.values) if part)
    default = f"`{one.default}`" if _is_literal(one) else one.default or "–"
    return f"| `{one.name}` | {_cell(kind)} | {_cell(default)} | {_cell(one.about)} |"


def _is_literal(one: Setting) -> bool:
    """Whether the default is a value that could be set, not words about where it comes from."""
    return bool(one.default) and " " not in one.default.replace(", ", ",") and one.kind != "secret"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _checks(checks: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "## Settings that are no good together"
    yield ""
    yield "`manage.py check --deploy` and `manage.py doctor` ask these; an id is given once and for ever."
    yield ""
    yield "| Id | What is wrong |"
    yield "| --- | --- |"
    for key, meaning in checks:
        yield f"| `{key}` | {_cell(meaning[:1].upper() + meaning[1:])} |"
