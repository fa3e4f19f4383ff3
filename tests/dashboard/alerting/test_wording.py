from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.alerting.damping import News
from dashboard.alerting.grouping import Change, Entry, Group
from dashboard.alerting.wording import LONGEST_TITLE, Names, compose, compose_digest, plain

NOON = datetime(2024, 11, 20, 12, 0, tzinfo=UTC)
HARBOR = "registry/harbor.example.com"
REJECTED = Group(cluster=1, credential=HARBOR, news=News.TROUBLE, status="critical", reason="rejected")
RECOVERED = Group(cluster=1, credential=HARBOR, news=News.RECOVERY)


def entry(namespace: int, status: str = "critical", reason: str = "rejected", **fields: object) -> Entry:
    change = Change(
        key=namespace, cluster=1, namespace=namespace, credential=HARBOR, at=NOON, status=status, reason=reason
    )
    return Entry(change=change, **fields)  # type: ignore[arg-type]


def names(number: int = 300, *, name: str = "team-{}", zone: str = "UTC") -> Names:
    return Names(
        namespaces={pk: name.format(f"{pk:03}") for pk in range(number)},
        clusters={1: "prod-eu"},
        zone=ZoneInfo(zone),
        link=lambda cluster, credential, reason, namespace: f"https://x/{cluster}/{credential}/{reason}/{namespace}",
        acknowledge=lambda cluster, credential, namespace: f"https://x/acknowledge/{cluster}/{namespace}/{credential}",
    )


def test_trouble_says_what_where_since_when_and_what_to_do() -> None:
    message = compose(REJECTED, [entry(pk) for pk in range(3)], names=names(zone="Europe/Berlin"))
    assert message.title == "registry/harbor.example.com: rejected in 3 Namespaces"
    assert message.body.splitlines() == [
        "Critical since 13:00 CET on 20 November 2024, cluster prod-eu.",
        "In team-000, team-001, team-002",
        "",
        "What to do: User name or password are wrong or revoked: issue a new one and replace the Secret everywhere.",
        "https://x/1/registry/harbor.example.com/rejected/None",
    ]
    assert message.severity == "critical"


def test_a_single_namespace_is_named_in_the_title_and_linked() -> None:
    message = compose(REJECTED, [entry(7)], names=names())
    assert message.title == "registry/harbor.example.com: rejected in team-007"
    assert "\nhttps://x/1/registry/harbor.example.com/rejected/7\n" in message.body


ACKNOWLEDGE = "Acknowledge: https://x/acknowledge/1/7/registry/harbor.example.com"


def test_trouble_in_a_single_namespace_can_be_acknowledged_from_the_message() -> None:
    flapping = Group(cluster=1, credential=HARBOR, news=News.FLAPPING)
    for group in (REJECTED, flapping):
        assert compose(group, [entry(7)], names=names()).body.splitlines()[-1] == ACKNOWLEDGE


def test_what_is_well_by_now_or_in_several_namespaces_has_no_such_link() -> None:
    over = entry(7, over_at=NOON + timedelta(minutes=1), is_well=True)
    flapping = Group(cluster=1, credential=HARBOR, news=News.FLAPPING)
    for group, entries in (
        (REJECTED, [entry(7), entry(8)]),
        (REJECTED, [over]),
        (flapping, [entry(7, "ok", "")]),
        (RECOVERED, [entry(7, "ok", "")]),
        (RECOVERED, [entry(7, "warning", "shadowed")]),
    ):
        assert "Acknowledge" not in compose(group, entries, names=names()).body


def test_without_an_address_of_credboard_there_is_no_such_line() -> None:
    nowhere = replace(names(), acknowledge=lambda cluster, credential, namespace: "")
    assert "Acknowledge" not in compose(REJECTED, [entry(7)], names=nowhere).body


def test_of_two_hundred_namespaces_twenty_are_named_and_the_others_counted() -> None:
    message = compose(REJECTED, [entry(pk) for pk in range(200)], names=names())
    assert "team-019 and 180 more" in message.body
    assert len(message.body) < 1_000


def test_long_names_are_fewer() -> None:
    message = compose(REJECTED, [entry(pk) for pk in range(200)], names=names(name="n" * 55 + "-{}"))
    assert len(message.body) < 1_500


def test_a_recovery_says_in_how_many_there_still_is_trouble_and_what_is_not_needed_any_more() -> None:
    entries = [entry(1, "ok", ""), entry(2, "", ""), entry(3, "warning", "shadowed")]
    message = compose(RECOVERED, entries, names=names(), remaining=5)
    assert message.title == "registry/harbor.example.com: recovered in 3 Namespaces; still in trouble in 5"
    assert message.body.splitlines()[1:4] == [
        "In team-001",
        "Nothing needs it any more: team-002",
        "Only warning now (shadowed): team-003",
    ]
    assert message.severity == "ok"


def test_trouble_that_is_over_by_now_is_told_as_such() -> None:
    over = entry(2, over_at=NOON + timedelta(minutes=1), is_well=True)
    message = compose(REJECTED, [entry(1), over], names=names())
    assert "In team-001\nWell again by now: team-002" in message.body
    assert compose(REJECTED, [over], names=names()).title.endswith("rejected in team-002, over by now")


def test_flapping_cells_are_told_with_how_long_nothing_more_is_told() -> None:
    group = Group(cluster=1, credential=HARBOR, news=News.FLAPPING)
    message = compose(group, [entry(1), entry(2, "ok", "")], names=names())
    assert message.title == "registry/harbor.example.com: flapping in 2 Namespaces"
    assert "until they have not changed for an hour" in message.body
    assert message.severity == "critical"


def test_a_digest_is_one_message_worst_first() -> None:
    digest = compose_digest([(RECOVERED, [entry(1, "ok", "")], 0), (REJECTED, [entry(2)], 0)], names=names())
    assert digest.title == "While it was quiet: 2 changes"
    assert digest.body.index("rejected in team-002") < digest.body.index("recovered in team-001")
    assert digest.severity == "critical"


def test_a_digest_of_one_is_that_message() -> None:
    alone = [(REJECTED, [entry(2)], 0)]
    assert compose_digest(alone, names=names()) == compose(REJECTED, [entry(2)], names=names())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kubeflow-user-example-com", "kubeflow-user-example-com"),
        ("registry/quay.io:5000", "registry/quay.io:5000"),
        ("<!channel> @everyone", "__channel_  at everyone"),
        ("[a](http://x) *b* `c`\r\nSubject: x", "_a__http://x_ _b_ _c___Subject: x"),
    ],
)
def test_a_name_holds_nothing_that_a_service_could_read_as_a_mention_a_link_or_a_format(name: str, said: str) -> None:
    assert plain(name) == said


@settings(deadline=None)
@given(st.text(max_size=400))
def test_whatever_a_column_is_called_its_title_is_one_bounded_line(name: str) -> None:
    group = Group(cluster=1, credential=f"registry/{name}", news=News.TROUBLE, status="critical", reason="rejected")
    title = compose(group, [entry(1)], names=names()).title
    assert len(title) <= LONGEST_TITLE
    assert len(title.splitlines()) == 1
    assert not set(title) & set("<>[]()*`@\r\n")
