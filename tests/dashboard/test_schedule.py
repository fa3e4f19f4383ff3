"""When a report is due: weekdays, months, and the clocks that skip or repeat an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.schedule import Frequency, following

MONDAY, FRIDAY, SATURDAY, SUNDAY = 0, 4, 5, 6


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("frequency", "weekday", "hour", "zone", "after", "expected"),
    [
        pytest.param("weekly", MONDAY, 9, "UTC", "2026-11-21 06:00", "2026-11-23 09:00", id="the coming Monday"),
        pytest.param("weekly", MONDAY, 9, "UTC", "2026-11-23 08:59", "2026-11-23 09:00", id="today, a little later"),
        pytest.param("weekly", MONDAY, 9, "UTC", "2026-11-23 09:00", "2026-11-30 09:00", id="strictly after"),
        pytest.param("weekly", MONDAY, 9, "Europe/Berlin", "2026-11-21 06:00", "2026-11-23 08:00", id="own clock"),
        pytest.param("weekly", MONDAY, 9, "Pacific/Kiritimati", "2026-11-21 06:00", "2026-11-22 19:00", id="UTC+14"),
        pytest.param("weekly", MONDAY, 9, "Pacific/Pago_Pago", "2026-11-23 19:59", "2026-11-23 20:00", id="UTC-11"),
        pytest.param("daily", MONDAY, 7, "Asia/Kathmandu", "2026-11-21 06:00", "2026-11-22 01:15", id="UTC+05:45"),
        pytest.param(
            "monthly", MONDAY, 9, "UTC", "2026-11-21 06:00", "2026-12-07 09:00", id="first Monday of December"
        ),
        pytest.param("monthly", MONDAY, 9, "UTC", "2026-06-01 08:00", "2026-06-01 09:00", id="the first is a Monday"),
        pytest.param("monthly", SUNDAY, 9, "UTC", "2026-12-31 23:00", "2027-01-03 09:00", id="over the year"),
        # Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.
        pytest.param("weekly", SUNDAY, 2, "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", id="skipped hour"),
        pytest.param("daily", MONDAY, 3, "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", id="after the gap"),
        pytest.param("daily", MONDAY, 2, "Europe/Berlin", "2026-03-29 01:00", "2026-03-30 00:00", id="once, then next"),
        pytest.param("weekly", SUNDAY, 2, "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:00", id="repeated hour"),
        pytest.param("daily", MONDAY, 2, "Europe/Berlin", "2026-10-25 00:00", "2026-10-26 01:00", id="not repeated"),
        pytest.param("weekly", MONDAY, 9, "Europe/Berlin", "2026-03-23 08:00", "2026-03-30 07:00", id="spring, 167 h"),
        pytest.param("weekly", MONDAY, 9, "Europe/Berlin", "2026-10-19 07:00", "2026-10-26 08:00", id="autumn, 169 h"),
        # Lord Howe goes half an hour: 2026-10-04 02:00 -> 02:30, 2026-04-05 02:00 -> 01:30.
        pytest.param(
            "daily", MONDAY, 2, "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-03 15:30", id="half an hour"
        ),
        pytest.param("daily", MONDAY, 2, "Australia/Lord_Howe", "2026-04-04 00:00", "2026-04-04 15:30", id="half back"),
        # Havana skips the hour at midnight: 2026-03-08 00:00 -> 01:00.
        pytest.param("daily", MONDAY, 0, "America/Havana", "2026-03-07 12:00", "2026-03-08 05:00", id="no midnight"),
        # Samoa went from Thursday 2011-12-29 to Saturday 2011-12-31.
        pytest.param("weekly", FRIDAY, 9, "Pacific/Apia", "2011-12-28 00:00", "2011-12-30 10:00", id="Friday left out"),
        pytest.param("daily", MONDAY, 9, "Pacific/Apia", "2011-12-29 19:00", "2011-12-30 19:00", id="from 29 to 31"),
        pytest.param(
            "weekly", SATURDAY, 9, "Pacific/Apia", "2011-12-28 00:00", "2011-12-30 19:00", id="Saturday stays"
        ),
    ],
)
def test_a_report_is_due_when_its_readers_clock_says(
    *, frequency: str, weekday: int, hour: int, zone: str, after: str, expected: str
) -> None:
    assert following(frequency, weekday, hour, zone, utc(after)) == utc(expected)


def test_no_report_is_ever_due_when_it_is_off() -> None:
    assert following("off", MONDAY, 9, "UTC", utc("2026-11-21 06:00")) is None


@pytest.mark.parametrize(("frequency", "weekday"), [("hourly", 0), ("weekly", 7), ("weekly", -1)])
def test_a_frequency_or_weekday_that_is_none_is_refused(frequency: str, weekday: int) -> None:
    with pytest.raises(ValueError, match="is not a"):
        following(frequency, weekday, 9, "UTC", utc("2026-11-21 06:00"))


def test_a_time_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        following("weekly", MONDAY, 9, "Mars/Olympus", utc("2026-11-21 06:00"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Asia/Gaza", "UTC"])
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 9, 23])
def test_a_year_of_daily_reports_has_one_for_each_day(zone: str, hour: int) -> None:
    at = utc("2026-01-01 00:00")
    days = []
    while len(days) < 365:
        due = following("daily", MONDAY, hour, zone, at)
        assert due is not None
        at = due
        days.append(at.astimezone(ZoneInfo(zone)).date())

    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))


@settings(max_examples=150, deadline=None)
@given(
    frequency=st.sampled_from(["daily", "weekly", "monthly"]),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    zone=st.sampled_from(sorted(available_timezones() - {"localtime"})),
    after=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_report_is_always_ahead_and_asking_a_little_earlier_gives_the_same(
    frequency: str, weekday: int, hour: int, zone: str, after: datetime
) -> None:
    due = following(frequency, weekday, hour, zone, after)

    assert due is not None
    assert after < due <= after + timedelta(days=40)
    assert following(frequency, weekday, hour, zone, due - timedelta(seconds=1)) == due
    local = due.astimezone(ZoneInfo(zone))
    assert frequency == Frequency.DAILY or local.weekday() in (weekday, (weekday + 1) % 7)
