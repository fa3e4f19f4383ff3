"""What templates need besides Django's own tags: icons, times as people say them, reason words."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.matrix import words

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of `templates/sprite.svg`. It is hidden from screen readers: the text beside it must say the same."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


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
