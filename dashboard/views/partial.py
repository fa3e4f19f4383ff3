"""One template, three answers: the page, the part of it that htmx asks for, or that nothing changed."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh


def page_or_part(
    request: HttpRequest, template: str, *, parts: tuple[str, ...], seen: str, context: dict[str, Any]
) -> HttpResponse:
    """`template` whole; its partial "part" when htmx asks for an element with an id of `parts`; 304 when the
    browser shows `seen` already. One that shows something else in this place (the first scan has ended, say) reloads.
    """
    context = {**context, "seen": seen}
    if not request.headers.get("HX-Request"):
        return render(request, template, context)
    if request.headers.get("HX-Target") not in parts:
        return HttpResponseClientRefresh()
    if request.headers.get("HX-PTag") == seen:
        return HttpResponseNotModified()
    return render(request, f"{template}#part", context)


def tag(*parts: object) -> str:
    """A short name for what a poll would show: while it stays the same, the page need not change."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()
