from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.alerting.quiet_hours import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")


def quiet(start: str, end: str, zone: ZoneInfo = BERLIN) -> QuietHours:
    return QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end), zone=zone)


def local(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2024-11-20 21:59", None),
        ("2024-11-20 22:00", "2024-11-21 07:00"),
        ("2024-11-21 03:00", "2024-11-21 07:00"),
        ("2024-11-21 06:59:59", "2024-11-21 07:00"),
        ("2024-11-21 07:00", None),
        ("2024-12-31 23:30", "2025-01-01 07:00"),
    ],
)
def test_a_night_is_quiet_past_midnight_and_ends_in_the_morning(now: str, end: str | None) -> None:
    assert quiet("22:00", "07:00").end_of(local(now)) == (local(end) if end else None)


def test_a_part_of_the_day_can_be_quiet_too() -> None:
    assert quiet("12:00", "13:00").end_of(local("2024-11-20 12:30")) == local("2024-11-20 13:00")
    assert quiet("12:00", "13:00").end_of(local("2024-11-20 13:30")) is None


def test_the_night_in_which_clocks_go_forward_is_an_hour_shorter() -> None:
    end = quiet("22:00", "07:00").end_of(local("2024-03-30 23:00"))
    assert end == datetime(2024, 3, 31, 5, 0, tzinfo=UTC)


def test_the_night_in_which_clocks_go_back_is_an_hour_longer() -> None:
    end = quiet("22:00", "07:00").end_of(local("2024-10-26 23:00"))
    assert end == datetime(2024, 10, 27, 6, 0, tzinfo=UTC)


def test_an_end_that_the_night_does_not_have_comes_by_the_offset_before() -> None:
    # 02:30 on that day: the clocks go from 02:00 to 03:00, so it is 01:30 UTC, and they show 03:30.
    assert quiet("22:00", "02:30").end_of(local("2024-03-31 01:00")) == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)


def test_of_an_end_that_the_night_has_twice_the_first_counts() -> None:
    hours = quiet("22:00", "02:30")
    assert hours.end_of(local("2024-10-27 02:15")) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert hours.end_of(local("2024-10-27 02:15", fold=1)) is None, "it ended when the clocks showed 02:30 before"


@settings(deadline=None)
@given(
    now=st.datetimes(min_value=datetime(2023, 1, 1), max_value=datetime(2026, 1, 1), timezones=st.just(UTC)),
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]),
)
def test_quiet_hours_end_within_a_day_and_an_hour_and_are_over_then_or_begin_anew(
    now: datetime, start: time, end: time, zone: str
) -> None:
    hours = QuietHours(start=start, end=end, zone=ZoneInfo(zone))
    until = hours.end_of(now)
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
