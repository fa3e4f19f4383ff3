from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.alerting.damping import News, Told, Wishes
from dashboard.alerting.grouping import Change, Collector, Entry, Group, changes_until

NOON = datetime(2024, 11, 20, 12, 0, tzinfo=UTC)
HARBOR = "registry/harbor.example.com"
WISHES = Wishes(severities=frozenset({"critical"}))
STATES = ["ok covered", "critical rejected", "critical missing", "warning shadowed", "unknown not-checked", " "]


def change(key: int, namespace: int, state: str, *, minute: float = 0, changes: int = 1) -> Change:
    status, reason = state.split(" ", 1)
    return Change(
        key=key,
        cluster=1,
        namespace=namespace,
        credential=HARBOR,
        at=NOON + timedelta(minutes=minute),
        status=status,
        reason=reason,
        changes=changes,
    )


def told_by(collector: Collector) -> list[int | None]:
    """The keys of the changes that its messages tell."""
    found: list[int | None] = []
    for entries in collector.entries.values():
        for entry in entries:
            found.append(entry.change.key)
            if entry.is_well and entry.over_by is not None:
                found.append(entry.over_by)
    return found


def test_one_dead_credential_in_fourteen_namespaces_is_one_message() -> None:
    collector = Collector(wishes=WISHES)
    for number in range(14):
        collector.hear(change(number, number, "critical rejected"))
    ((group, entries),) = collector.entries.items()
    assert (group.credential, group.news, group.reason) == (HARBOR, News.TROUBLE, "rejected")
    assert len(entries) == 14


def test_other_reasons_and_recoveries_are_messages_of_their_own() -> None:
    told = {(number, HARBOR): Told(status="critical", reason="rejected", changed_at=NOON) for number in (3, 4)}
    collector = Collector(wishes=WISHES, told=told)
    for number, state in enumerate(["critical rejected", "critical missing", "critical missing", "ok covered", " "]):
        collector.hear(change(number, number, state))
    sizes = {(group.news, group.reason): len(entries) for group, entries in collector.entries.items()}
    assert sizes == {(News.TROUBLE, "rejected"): 1, (News.TROUBLE, "missing"): 2, (News.RECOVERY, ""): 2}


def test_trouble_that_ends_before_its_message_is_sent_is_told_with_its_end_in_that_message() -> None:
    collector = Collector(wishes=WISHES)
    collector.hear(change(1, 7, "critical rejected"))
    collector.hear(change(2, 7, "ok covered", minute=0.5))
    ((group, (entry,)),) = collector.entries.items()
    assert group.news is News.TROUBLE
    assert (entry.is_well, entry.over_by, collector.told) == (True, 2, {})


def test_trouble_that_changes_before_its_message_is_sent_is_over_there_and_told_as_what_it_is() -> None:
    collector = Collector(wishes=WISHES)
    collector.hear(change(1, 7, "critical rejected"))
    collector.hear(change(2, 7, "critical missing", minute=0.5))
    first, second = [entries[0] for entries in collector.entries.values()]
    assert (first.over_by, first.is_well, second.over_at) == (2, False, None)


histories = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(STATES), st.integers(1, 40)), max_size=30)


def changes_of(history: list[tuple[int, str, int]]) -> list[Change]:
    """What scans would record: each cell gets another state than it had."""
    states: dict[int, str] = {}
    times: dict[int, list[datetime]] = {}
    minute = 0
    found = []
    for key, (namespace, state, gap) in enumerate(history):
        minute += gap
        if states.get(namespace, "ok covered") != state:
            states[namespace] = state
            at = NOON + timedelta(minutes=minute)
            times.setdefault(namespace, []).append(at)
            number = changes_until(times[namespace], at, within=timedelta(hours=1))
            found.append(change(key, namespace, state, minute=minute, changes=number))
    return found


@settings(deadline=None)
@given(histories, st.data())
def test_what_is_told_does_not_depend_on_how_changes_are_split_into_runs(
    history: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    changes = changes_of(history)
    whole = Collector(wishes=WISHES)
    for one in changes:
        whole.hear(one)

    split = Collector(wishes=WISHES)
    rest = changes
    while rest:
        number = data.draw(st.integers(1, len(rest)))
        # As the edge does between two runs: what is known goes into rows and comes back.
        split = Collector(wishes=WISHES, told=dict(split.told), entries=copied(split.entries))
        for one in rest[:number]:
            split.hear(one)
        rest = rest[number:]

    assert split.told == whole.told
    assert split.entries == whole.entries


def copied(entries: dict[Group, list[Entry]]) -> dict[Group, list[Entry]]:
    return {
        group: [Entry(change=e.change, over_at=e.over_at, over_by=e.over_by, is_well=e.is_well) for e in found]
        for group, found in entries.items()
    }


@settings(deadline=None)
@given(histories, st.data())
def test_every_change_that_is_news_is_told_exactly_once_wherever_messages_are_sent_in_between(
    history: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    told: Counter[int | None] = Counter()
    collector = Collector(wishes=WISHES)
    flapped = False
    for one in changes_of(history):
        collector.hear(one)
        flapped = flapped or any(group.news is News.FLAPPING for group in collector.entries)
        if data.draw(st.booleans()):
            told.update(told_by(collector))
            collector = Collector(wishes=WISHES, told=dict(collector.told))
    told.update(told_by(collector))
    assert all(number == 1 for number in told.values())

    if not flapped:
        # Every step from no trouble into trouble, and back, is there.
        expected = set()
        known: dict[int, str] = {}
        for one in changes_of(history):
            state = f"{one.status} {one.reason}"
            if one.status == "critical" and known.get(one.namespace) != state:
                known[one.namespace] = state
                expected.add(one.key)
            elif one.status not in ("critical", "unknown") and known.pop(one.namespace, None):
                expected.add(one.key)
        assert set(told) == expected


def test_changes_are_counted_over_the_hour_before_each() -> None:
    times = [NOON, NOON + timedelta(minutes=30), NOON + timedelta(minutes=60), NOON + timedelta(minutes=61)]
    assert [changes_until(times, at, within=timedelta(hours=1)) for at in times] == [1, 2, 2, 3]
