"""Settings: what each person, and operators for all, can choose. Every group of them is a page of its own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from dashboard.shell import shell_of


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    """To the first page of settings; to the matrix while there is none."""
    pages = shell_of(request).settings_nav
    return redirect(pages[0].url if pages else "matrix")
