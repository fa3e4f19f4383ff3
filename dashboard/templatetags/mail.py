"""What the templates of mails need: colours as inline styles, and text that keeps within 72 columns."""

from __future__ import annotations

import textwrap
from typing import Final

from django import template
from django.utils.safestring import SafeString

from dashboard.mail.parts import CHART_HEIGHT, Bar

register = template.Library()

WIDTH: Final = 72  # columns
_BAR_WIDTH: Final = 40  # columns of the longest bar

#: Colour of the words and of the ground for each status: those of the pages, light. Dark ones are in report.mjml.
_INK: Final = {"critical": "#b42318", "unknown": "#5b4b9a", "warning": "#8a5300", "ok": "#16703c"}
_SOFT: Final = {"critical": "#fdecea", "unknown": "#f1eefb", "warning": "#fdf3df", "ok": "#e9f6ee"}


@register.simple_tag
def ink(status: str) -> SafeString:
    """The colour of the words of a status, as an inline style."""
    return SafeString(f"color:{_INK[status]}")


@register.simple_tag
def soft(status: str, number: int) -> SafeString:
    """The ground of a tally, as an inline style; plain where there is nothing to count."""
    return SafeString(f"background:{_SOFT[status] if number else '#eff1f4'}")


@register.filter
def wrapped(text: str, indent: int) -> str:
    """`text` in lines of at most 72 columns, those after the first indented by `indent`. No word is broken."""
    lines = textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


@register.filter
def ruled(character: str) -> str:
    return character * WIDTH


@register.filter
def text_bar(bar: Bar) -> str:
    """A bar of a chart as a line of text."""
    if bar.height is None:
        return "no good scan"
    return f"{'█' * round(_BAR_WIDTH * bar.height / CHART_HEIGHT)} {bar.value}".strip()
