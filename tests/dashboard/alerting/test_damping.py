from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.alerting.damping import News, Told, Wishes, calmed, heard

NOON = datetime(2024, 11, 20, 12, 0, tzinfo=UTC)
CRITICAL = Wishes(severities=frozenset({"critical"}))
ALL = Wishes(severities=frozenset({"critical", "warning", "unknown"}))


def told(status: str = "critical", reason: str = "rejected", *, flapping: bool = False, at: datetime = NOON) -> Told:
    return Told(status=status, reason=reason, changed_at=at, is_flapping=flapping)


def hear(before: Told | None, after: str, *, wishes: Wishes = CRITICAL, changes: int = 1, **fields: object) -> object:
    status, _, reason = after.partition(" ")
    return heard(before, status=status, reason=reason, at=NOON, changes=changes, wishes=wishes, **fields)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (None, "critical rejected", News.TROUBLE),
        (None, "ok covered", None),
        (None, "", None),
        (None, "warning shadowed", None),
        (None, "warning expiring", News.TROUBLE),
        (None, "unknown not-checked", None),
        (told(), "critical rejected", None),
        (told(), "critical denied", News.TROUBLE),
        (told(), "ok covered", News.RECOVERY),
        (told(), "", News.RECOVERY),
        (told(), "warning shadowed", News.RECOVERY),
        (told(), "unknown not-checked", None),
    ],
)
def test_a_change_is_news_when_it_is_trouble_or_the_end_of_trouble_that_was_told(
    before: Told | None, after: str, news: News | None
) -> None:
    assert hear(before, after) == news


def test_what_is_not_seen_has_not_recovered_and_is_told_when_it_is_seen_well() -> None:
    blind, _ = heard(told(), status="unknown", reason="not-checked", at=NOON, changes=1, wishes=CRITICAL)
    assert blind == told()
    assert hear(blind, "critical rejected") is None
    assert hear(blind, "ok covered") is News.RECOVERY


def test_a_route_may_ask_for_warnings_and_for_what_is_unknown() -> None:
    assert hear(None, "warning shadowed", wishes=ALL) is News.TROUBLE
    assert hear(None, "unknown unreachable", wishes=ALL) is News.TROUBLE


def test_without_a_wish_for_the_end_of_credentials_their_nearing_end_is_no_news_even_when_it_is_critical() -> None:
    wishes = Wishes(severities=frozenset({"critical"}), expiring=False)
    assert hear(None, "critical expiring", wishes=wishes) is None
    assert hear(None, "critical expired", wishes=wishes) is News.TROUBLE


def test_without_a_wish_for_recoveries_trouble_ends_without_a_word_and_may_come_back() -> None:
    wishes = Wishes(severities=frozenset({"critical"}), recovery=False)
    after, news = heard(told(), status="ok", reason="covered", at=NOON, changes=1, wishes=wishes)
    assert (after, news) == (None, None)
    assert hear(after, "critical rejected", wishes=wishes) is News.TROUBLE


def test_what_somebody_has_seen_to_is_not_told_and_its_end_neither() -> None:
    assert hear(None, "critical rejected", is_silent=True) is None
    after, news = heard(told(), status="ok", reason="", at=NOON, changes=1, wishes=CRITICAL, is_silent=True)
    assert (after, news) == (None, None)


def test_the_third_change_in_an_hour_is_told_as_flapping_and_the_next_not_at_all() -> None:
    state: Told | None = None
    news = []
    for number, status in enumerate(["critical", "ok", "critical", "ok", "critical"], start=1):
        at = NOON + timedelta(minutes=number)
        state, said = heard(state, status=status, reason="rejected", at=at, changes=number, wishes=CRITICAL)
        news.append(said)
    assert news == [News.TROUBLE, News.RECOVERY, News.FLAPPING, None, None]


def test_a_cell_that_flaps_between_states_a_route_does_not_want_is_not_told() -> None:
    assert hear(None, "warning shadowed", changes=5) is None


@pytest.mark.parametrize(
    ("status", "news"),
    [("critical", News.TROUBLE), ("unknown", News.TROUBLE), ("ok", News.RECOVERY), ("", News.RECOVERY)],
)
def test_after_an_hour_of_calm_it_is_told_how_the_cell_ended_up(status: str, news: News) -> None:
    flapping = told(status, flapping=True)
    assert calmed(flapping, wishes=CRITICAL, now=NOON + timedelta(minutes=59)) == (flapping, None)
    after, said = calmed(flapping, wishes=CRITICAL, now=NOON + timedelta(minutes=60))
    assert said is news
    assert after == (None if news is News.RECOVERY else told(status))


def test_each_change_while_flapping_puts_the_calm_off() -> None:
    late = NOON + timedelta(minutes=50)
    after, _ = heard(told(flapping=True), status="ok", reason="", at=late, changes=2, wishes=CRITICAL)
    assert after is not None
    assert calmed(after, wishes=CRITICAL, now=NOON + timedelta(minutes=61)) == (after, None)


def test_a_change_after_the_calm_is_told_as_if_the_cell_had_never_flapped() -> None:
    after, news = heard(
        told("ok", "", flapping=True),
        status="critical",
        reason="rejected",
        at=NOON + timedelta(hours=2),
        changes=1,
        wishes=CRITICAL,
    )
    assert (after, news) == (told(at=NOON + timedelta(hours=2)), News.TROUBLE)


@pytest.mark.parametrize("after", ["critical expired", "warning shadowed"])
def test_what_got_worse_or_is_as_bad_has_not_recovered_whatever_the_route_asks_for(after: str) -> None:
    wishes = Wishes(severities=frozenset(), expiring=True)
    assert hear(told("warning", "expiring"), after, wishes=wishes) is None
    assert hear(told("warning", "expiring"), "ok valid", wishes=wishes) is News.RECOVERY
