"""What templates need besides Django's own tags: icons, times as people say them, reason words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from html import escape
from typing import Final
from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from dashboard.matrix import Row, ShownCell, words

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of `templates/sprite.svg`. It is hidden from screen readers: the text beside it must say the same."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@register.simple_tag
def matrix_rows(rows: Iterable[Row], cluster: str) -> SafeString:
    """Rows of the matrix of `cluster` as <tr>.

    In Python, since a page has a thousand cells and a template takes five times as long.
    """
    # All that comes from a cluster passes `escape`, `_escaped` or `_address`; status is one of four words.
    return mark_safe("".join(_row(row, cluster) for row in rows))  # noqa: S308 (each value is escaped)


def _row(row: Row, cluster: str) -> str:
    url, name = escape(reverse("namespace", args=[cluster, row.name])), escape(row.name)
    owner = escape(row.owner) + (f" +{row.more_owners}" if row.more_owners else "") if row.owner else "no owner"
    title = f"{row.status}: {escape(row.text)}" if row.text else row.status
    cells = "".join([_cell(cell, url) for cell in row.cells])
    return (
        f'<tr><th scope="row" class="name"><a href="{url}" id="n{row.pk}" title="{name}">{name}</a>'
        f'<small>{owner}</small></th><td class="worst"><span class="is-{row.status}" title="{title}">'
        f'{icon(row.status)}<span class="sr-only">{row.status}</span></span></td>{cells}</tr>\n'
    )


# A page has many cells, few words and few columns. Django's own `escape` is this one in a wrapper that takes longer
# than the work.
_escaped = lru_cache(maxsize=4096)(escape)


@lru_cache(maxsize=4096)
def _address(credential: str) -> str:
    return escape(quote(credential, safe="/:"))


def _cell(cell: ShownCell, url: str) -> str:
    # As few elements as can be, and no ids: a browser draws a thousand of these at each filter, and htmx looks each id
    # up in what it replaces. The style sheet adds the icon of the status.
    if cell.status is None:
        return _NOT_NEEDED
    text = _escaped(cell.text)
    if not cell.is_stored:
        return f'<td><a class="unchecked is-unknown" href="{url}#unreadable" title="{_BLIND}">{text}</a></td>'
    note = _escaped(cell.note)
    spoken = " ".join(part for part in (text, "expires in" if note and cell.status == "ok" else "", note) if part)
    small = f"<small>{note}</small>" if note else ""
    href = f"{url}cells/{_address(cell.credential)}/"
    label = f"{cell.status}: {spoken}" if spoken else str(cell.status)
    if cell.is_acknowledged:
        return (
            f'<td><a class="cell has-ack is-{cell.status}" href="{href}" aria-label="{label}, acknowledged"'
            f' title="acknowledged">{text}{small}</a></td>'
        )
    return f'<td><a class="cell is-{cell.status}" href="{href}" aria-label="{label}">{text}{small}</a></td>'


_NOT_NEEDED: Final = (
    '<td><span class="none" role="img" aria-label="not needed" title="Nothing here needs it">–</span></td>'
)
_BLIND: Final = "Credboard may not read enough of this Namespace to tell"


@register.filter
def reason(slug: str) -> str:
    """A reason as words: "wrong-host" is "wrong host"."""
    return slug.replace("-", " ")


@register.simple_tag
def when(at: datetime | None) -> SafeString | str:
    """`at` as "12 s ago" or "in 3 d", with the full time on hover; "never" for None. The page keeps it up to date."""
    if at is None:
        return "never"
    return _time(at, words(at - timezone.now()))


@register.simple_tag
def since(at: datetime) -> SafeString:
    """How long ago `at` was, as a length of time: "26 min"."""
    return _time(at, words(at - timezone.now(), bare=True), bare=True)


def _time(at: datetime, text: str, *, bare: bool = False) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(timespec="seconds"),
        timezone.localtime(at).strftime("%d %B %Y, %H:%M:%S %Z"),
        SafeString(" data-bare") if bare else "",
        text,
    )


@register.filter
def seconds(length: timedelta) -> int:
    return int(length.total_seconds())
