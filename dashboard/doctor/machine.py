"""This machine: settings, time zones, static files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core import checks

from dashboard.doctor.advice import Advice, Level

_LEVELS: Final = ((checks.ERROR, Level.PROBLEM), (checks.WARNING, Level.WARNING))
#: With rules of its own for summer time, so that more than UTC must be there.
_A_ZONE: Final = "Europe/Berlin"

_SEE: Final = "docs/settings.md says what each setting is for."
#: What Django says of a site without TLS: `dashboard.W005` says it where it matters, and what to do about it.
_OF_HTTPS: Final = frozenset({"security.W004", "security.W012", "security.W016"})


def look(now: datetime) -> Iterator[Advice]:
    yield from _settings()
    yield from _time_zones(now)
    yield from _static_files()


def _settings() -> Iterator[Advice]:
    found = [
        one
        for one in checks.run_checks(include_deployment_checks=True)
        if not one.is_silenced() and (settings.HTTPS or one.id not in _OF_HTTPS)
    ]
    for one in sorted(found, key=lambda one: -one.level):
        level = next((told for least, told in _LEVELS if one.level >= least), None)
        if level is not None:
            yield Advice(level=level, about="settings", found=f"{one.msg} ({one.id})", remedy=one.hint or _SEE)
    if not any(one.level >= checks.WARNING for one in found):
        yield Advice.ok("settings", "They go together.")


def _time_zones(now: datetime) -> Iterator[Advice]:
    try:
        now.astimezone(ZoneInfo(_A_ZONE))
    except (ZoneInfoNotFoundError, OSError):
        yield Advice.problem("time zones", "The time zone database is not there.", "Install the Python package tzdata.")
    else:
        yield Advice.ok("time zones", "The time zone database is there.")


def _static_files() -> Iterator[Advice]:
    root = settings.STATIC_ROOT
    if not root or Path(root, "staticfiles.json").is_file():
        yield Advice.ok("static files", "They are collected." if root else "They are served from where they lie.")
    else:
        yield Advice.problem("static files", "They were not collected: pages fail.", "Run manage.py collectstatic.")
