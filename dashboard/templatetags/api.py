"""What the reference of the API needs."""

from __future__ import annotations

import re
from html import escape

from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def prose(text: str) -> SafeString:
    """A line with `code` in backticks, as descriptions in OpenAPI have it. Everything else is text."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 (escaped first)
