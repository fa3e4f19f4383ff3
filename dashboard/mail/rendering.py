"""A report as a mail: subject, HTML and text.

`templates/mail/report.mjml` is compiled once for each process, Django's tags in it untouched; what is told is filled in
after that. So nothing that came from a cluster is ever read as MJML, and a mail costs what a Django template costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import mjml
from django.template import engines
from django.template.backends.django import Template
from django.template.loader import get_template

from dashboard.mail.layout import Limits, lay_out
from dashboard.mail.parts import Layout
from dashboard.reports.report import Report

#: Gmail cuts a mail off after 102 kB of HTML.
LARGEST_HTML: Final = 100_000  # bytes of UTF-8
#: From what most mails need to what fits whatever is in it.
LIMITS: Final = (
    Limits(clusters=10, lines=20, items=20),
    Limits(clusters=10, lines=20, items=5),
    Limits(clusters=10, lines=10, items=3),
    Limits(clusters=5, lines=6, items=2),
    Limits(clusters=3, lines=3, items=1),
    Limits(clusters=1, lines=1, items=1),
)


class TooLarge(Exception):
    """Even the shortest form of a mail is larger than a mail may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """`html` is at most `LARGEST_HTML` bytes; `text` says the same in lines of 72 columns."""

    subject: str
    html: str
    text: str


def render_report(report: Report) -> Rendered:
    """The mail that tells `report`, with as much of it as fits. Raises TooLarge when nothing does."""
    for limits in LIMITS:
        layout = lay_out(report, limits)
        html = _html(layout)
        if len(html.encode()) <= LARGEST_HTML:
            return Rendered(subject=layout.subject, html=html, text=_text(layout))
    raise TooLarge(f"The shortest form of a report has more than {LARGEST_HTML} bytes")


def _html(layout: Layout) -> str:
    return str(_compiled("mail/report.mjml").render({"mail": layout}))


def _text(layout: Layout) -> str:
    return str(get_template("mail/report.txt").render({"mail": layout}))


@cache
def _compiled(name: str) -> Template:
    source = get_template(name).template.source  # type: ignore[attr-defined]
    return engines["django"].from_string(mjml.mjml2html(source))  # type: ignore[return-value]
