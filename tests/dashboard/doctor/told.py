"""What the doctor says of one part."""

from __future__ import annotations

from django.utils import timezone

from dashboard import doctor
from dashboard.doctor import Advice, Level

#: In every address of a server here: it must never be told.
PASSWORD = "hunter2-in-an-address"


def told(about: str) -> list[Advice]:
    """What is said of one part; whatever needs mending says how."""
    found = list(doctor.examine(now=timezone.now()))
    for one in found:
        assert one.found.endswith((".", ")", "?")), one
        assert bool(one.remedy) is (one.level is not Level.OK), one
        assert PASSWORD not in f"{one}"
    return [one for one in found if one.about == about]


def levels(about: str) -> set[Level]:
    return {one.level for one in told(about)}


def words(about: str) -> str:
    return " ".join(f"{one.found} {one.remedy}" for one in told(about))
