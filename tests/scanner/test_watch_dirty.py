"""When a Namespace that changed is scanned, and when the whole cluster is: `scanner.watch.dirty`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scanner.watch.dirty import Dirty, Limits

LIMITS = Limits(quiet=0.5, patience=2, rest=3, longest_rest=30, rate=4, most=10, whole_rest=30)


def names(dirty: Dirty, now: float) -> list[str]:
    return list(dirty.take(now=now).namespaces)


def test_a_namespace_is_due_once_it_was_quiet_for_a_moment() -> None:
    dirty = Dirty(LIMITS)
    dirty.mark("a", now=10)
    dirty.mark("a", now=10.3)

    assert names(dirty, 10.6) == []
    assert dirty.next_at() == 10.8
    assert names(dirty, 10.8) == ["a"]
    assert names(dirty, 20) == []
    assert dirty.next_at() is None


def test_one_that_is_never_quiet_is_due_all_the_same() -> None:
    dirty = Dirty(LIMITS)
    taken = []
    for tick in range(300):
        now = 10 + tick / 10
        dirty.mark("a", now=now)
        taken += [now for _ in names(dirty, now)]

    # Two seconds after the first change, then with ever longer rests: 3, 6 and 12 seconds.
    assert [round(now, 1) for now in taken] == [12.0, 15.0, 21.0, 33.0]


def test_one_that_had_rested_long_enough_starts_afresh() -> None:
    dirty = Dirty(LIMITS)
    for now in (10, 13.5, 40, 46):
        dirty.mark("a", now=now)
        assert names(dirty, now + 0.5) == ["a"], now
    dirty.mark("a", now=47)
    assert names(dirty, 47.5) == []
    assert names(dirty, 49.5) == ["a"]


def test_no_more_than_the_rate_are_due_at_once_and_the_first_to_change_come_first() -> None:
    dirty = Dirty(LIMITS)
    for number in range(10):
        dirty.mark(f"n{number}", now=10 + number / 100)

    assert names(dirty, 11) == ["n0", "n1", "n2", "n3"]
    assert dirty.next_at() == 11.25
    assert names(dirty, 11.25) == ["n4"]
    assert names(dirty, 12.25) == ["n5", "n6", "n7", "n8"]


def test_too_many_at_once_become_one_scan_of_the_cluster() -> None:
    dirty = Dirty(LIMITS)
    for number in range(10_000):
        dirty.mark(f"n{number}", now=10)

    first = dirty.take(now=10)
    assert first.whole
    assert not first.namespaces
    assert not dirty.take(now=60)

    for number in range(10_000):
        dirty.mark(f"n{number}", now=12)
    assert not dirty.take(now=12)
    assert dirty.next_at() == 40
    assert dirty.take(now=40).whole


def test_what_may_be_missed_anywhere_does_not_hold_up_what_changed() -> None:
    dirty = Dirty(LIMITS)
    for now in (9, 9.2, 9.4):
        dirty.mark_whole(now=now)
        assert not dirty.take(now=now)
    assert dirty.take(now=10).whole
    dirty.mark_whole(now=11)
    dirty.mark("a", now=11)

    due = dirty.take(now=12)
    assert list(due.namespaces) == ["a"]
    assert not due.whole


def test_what_could_not_be_asked_for_is_due_again() -> None:
    dirty = Dirty(LIMITS)
    dirty.mark_whole(now=10)
    dirty.mark("a", now=10, appeared=True)
    due = dirty.take(now=11)
    dirty.put_back(due, now=11)

    again = dirty.take(now=12)
    assert again == due
    assert again.namespaces == {"a": True}


def test_the_last_word_about_a_namespace_itself_counts() -> None:
    dirty = Dirty(LIMITS)
    for appeared in (True, None, False, None):
        dirty.mark("gone", now=10, appeared=appeared)
    for appeared in (False, True, None):
        dirty.mark("back", now=10, appeared=appeared)

    assert dirty.take(now=11).namespaces == {"gone": False, "back": True}


def test_who_ends_gets_everything_that_waits() -> None:
    dirty = Dirty(LIMITS)
    dirty.mark("a", now=10)

    assert list(dirty.take_all().namespaces) == ["a"]
    assert not dirty.take_all()


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([f"n{number}" for number in range(40)])), max_size=200))
def test_every_change_is_followed_by_a_scan_of_its_namespace_or_of_all(changes: list[tuple[float, str]]) -> None:
    dirty, now = Dirty(LIMITS), 0.0
    unscanned: set[str] = set()
    for pause, name in changes:
        now += pause
        dirty.mark(name, now=now)
        unscanned.add(name)
        due = dirty.take(now=now)
        unscanned = set() if due.whole else unscanned - due.namespaces.keys()
    for _ in range(1000):
        at = dirty.next_at()
        if at is None:
            break
        now = max(now, at)
        due = dirty.take(now=now)
        assert due, "nothing was due when it said so"
        unscanned = set() if due.whole else unscanned - due.namespaces.keys()

    assert not unscanned
    assert not dirty.take(now=now + 1000)
