"""Acknowledge and snooze: who may, what is refused, and that they end by themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from dashboard.acknowledging import CannotAcknowledge, acknowledge, acknowledge_all, end
from dashboard.models import Acknowledgement
from dashboard.snoozing_form import AcknowledgeForm
from scanner.models import AuditEntry, Cell, Cluster, Namespace
from tests import factories

pytestmark = pytest.mark.django_db

QUAY, HUB = "registry/quay.io", "registry/docker.io"
NOTE = "The vendor renews it on Monday."


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def cluster() -> Cluster:
    return factories.cluster()


@pytest.fixture
def namespace(cluster: Cluster) -> Namespace:
    return factories.namespace(cluster, owners=("grace",), cells={QUAY: "critical missing"})


@pytest.fixture
def ada() -> User:
    return factories.operator()


def covered(namespace: Namespace, now: datetime) -> set[tuple[int, str]]:
    return Acknowledgement.objects.covered([namespace], now=now)


def change(namespace: Namespace, status: str, reason: str, *, at: datetime) -> None:
    Cell.objects.filter(namespace=namespace).update(status=status, reason=reason, since=at)


def test_an_acknowledged_cell_is_covered_and_keeps_its_status(ada: User, namespace: Namespace, now: datetime) -> None:
    made = acknowledge(ada, namespace, QUAY, note=f"  {NOTE}\n", until=now + timedelta(days=7), now=now)

    assert (made.status, made.reason, made.note, made.actor) == ("critical", "missing", NOTE, "ada")
    assert covered(namespace, now) == {(namespace.pk, QUAY)}
    assert Cell.objects.get(namespace=namespace).status == "critical"


def test_an_owner_may_in_the_own_namespaces_only(cluster: Cluster, namespace: Namespace, now: datetime) -> None:
    theirs = factories.namespace(cluster, "theirs", cells={QUAY: "critical missing"})
    grace = factories.owner("grace")
    acknowledge(grace, namespace, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)

    with pytest.raises(CannotAcknowledge, match="no such cell"):
        acknowledge(grace, theirs, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)

    assert covered(theirs, now) == set()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("", 1), "Say why"),
        ((" \n\x00", 1), "Say why"),
        (("x" * 501, 1), "501 characters; 500 fit"),
        ((NOTE, 0), "lies in the past"),
        ((NOTE, -1), "lies in the past"),
        ((NOTE, 367), "more than a year"),
    ],
)
def test_what_cannot_stand_is_refused_with_words(
    ada: User, namespace: Namespace, now: datetime, asked: tuple[str, int], words: str
) -> None:
    note, days = asked

    with pytest.raises(CannotAcknowledge, match=words):
        acknowledge(ada, namespace, QUAY, note=note, until=now + timedelta(days=days), now=now)

    assert not Acknowledgement.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_cell_that_is_not_there_or_well_is_refused(ada: User, namespace: Namespace, now: datetime) -> None:
    factories.cell(namespace, HUB, "ok covered")
    until = now + timedelta(days=1)

    with pytest.raises(CannotAcknowledge, match="no such cell"):
        acknowledge(ada, namespace, "tls", note=NOTE, until=until, now=now)
    with pytest.raises(CannotAcknowledge, match="is well"):
        acknowledge(ada, namespace, HUB, note=NOTE, until=until, now=now)


def test_a_stale_cell_can_be_acknowledged_whatever_it_was(ada: User, cluster: Cluster, now: datetime) -> None:
    old = factories.namespace(cluster, "old", cells={QUAY: "ok covered"}, scanned_at=now - timedelta(days=1))

    acknowledge(ada, old, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)

    assert covered(old, now) == {(old.pk, QUAY)}


def test_its_date_ends_it_without_a_job(ada: User, namespace: Namespace, now: datetime) -> None:
    until = now + timedelta(days=1)
    acknowledge(ada, namespace, QUAY, note=NOTE, until=until, now=now)

    assert covered(namespace, until - timedelta(seconds=1))
    assert not covered(namespace, until)


@pytest.mark.parametrize(("status", "reason"), [("critical", "rejected"), ("warning", "missing")])
def test_another_status_or_reason_ends_an_acknowledgement_and_not_a_snooze(
    ada: User, namespace: Namespace, now: datetime, status: str, reason: str
) -> None:
    until, later = now + timedelta(days=7), now + timedelta(hours=1)
    acknowledge(ada, namespace, QUAY, note=NOTE, until=until, now=now)
    change(namespace, status, reason, at=later)
    assert not covered(namespace, later)

    acknowledge(ada, namespace, QUAY, note=NOTE, until=until, is_snooze=True, now=later)
    change(namespace, "unknown", "unreachable", at=later + timedelta(hours=1))

    assert covered(namespace, later + timedelta(hours=2))


def test_a_cell_that_was_well_and_fails_in_the_same_way_is_news(ada: User, namespace: Namespace, now: datetime) -> None:
    acknowledge(ada, namespace, QUAY, note=NOTE, until=now + timedelta(days=7), now=now)

    change(namespace, "critical", "missing", at=now + timedelta(hours=2))

    assert not covered(namespace, now + timedelta(hours=3))


def test_a_new_one_replaces_the_older(ada: User, namespace: Namespace, now: datetime) -> None:
    first = acknowledge(ada, namespace, QUAY, note=NOTE, until=now + timedelta(days=7), now=now)
    grace, later = factories.owner("grace"), now + timedelta(minutes=1)

    acknowledge(grace, namespace, QUAY, note="Longer.", until=now + timedelta(days=9), now=later)

    first.refresh_from_db()
    assert (first.ended_at, first.ended_by) == (later, "grace")
    assert [one.note for one in Acknowledgement.objects.in_force(later)] == ["Longer."]


def test_one_that_its_date_ended_is_not_said_to_be_ended_by_a_person(
    ada: User, namespace: Namespace, now: datetime
) -> None:
    first = acknowledge(ada, namespace, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)
    later = now + timedelta(days=2)

    acknowledge(ada, namespace, QUAY, note=NOTE, until=later + timedelta(days=1), now=later)

    first.refresh_from_db()
    assert (first.ended_at, first.ended_by) == (first.until, "")


def test_the_database_refuses_two_open_ones_for_a_cell(namespace: Namespace, now: datetime) -> None:
    fields = {"namespace": namespace, "credential": QUAY, "until": now}
    Acknowledgement.objects.create(**fields)

    with pytest.raises(IntegrityError), transaction.atomic():
        Acknowledgement.objects.create(**fields)


def test_a_person_ends_it_once(ada: User, namespace: Namespace, now: datetime) -> None:
    made = acknowledge(ada, namespace, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)

    end(factories.owner("grace"), made, now=now + timedelta(hours=1))
    end(ada, made, now=now + timedelta(hours=2))

    made.refresh_from_db()
    assert (made.ended_at, made.ended_by) == (now + timedelta(hours=1), "grace")
    assert not covered(namespace, now + timedelta(hours=1))
    assert AuditEntry.objects.filter(action="unsnooze").count() == 1


def test_who_does_not_see_it_cannot_end_it(ada: User, namespace: Namespace, now: datetime) -> None:
    made = acknowledge(ada, namespace, QUAY, note=NOTE, until=now + timedelta(days=1), now=now)

    with pytest.raises(CannotAcknowledge, match="no such acknowledgement"):
        end(factories.owner("stranger"), made, now=now)

    assert covered(namespace, now)


def test_the_audit_tells_who_why_and_until_when(ada: User, namespace: Namespace) -> None:
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    namespace.scanned_at = now
    until = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)

    made = acknowledge(ada, namespace, QUAY, note=NOTE, until=until, is_snooze=True, now=now)
    end(ada, made, now=now)

    ended, begun = AuditEntry.objects.order_by("-pk")
    assert (begun.actor, begun.action, begun.object, begun.namespace) == ("ada", "snooze", QUAY, "team-vision")
    assert begun.message == f"until 2026-12-01 08:00 UTC: {NOTE}"
    assert (ended.action, ended.outcome) == ("unsnooze", "done")


def test_a_login_inside_a_note_is_not_kept(ada: User, namespace: Namespace, now: datetime) -> None:
    note = "See https://ada:hunter2hunter2@quay.io/team"

    made = acknowledge(ada, namespace, QUAY, note=note, until=now + timedelta(days=1), now=now)

    assert made.note == "See https://***@quay.io/team"
    assert "hunter2" not in AuditEntry.objects.get().message


def test_many_are_acknowledged_at_once_without_what_is_well_or_hidden(cluster: Cluster, now: datetime) -> None:
    mine = [
        factories.namespace(
            cluster, f"mine-{n}", owners=("grace",), cells={QUAY: "critical missing", HUB: "ok covered"}
        )
        for n in range(3)
    ]
    theirs = factories.namespace(cluster, "theirs", cells={QUAY: "critical missing"})
    pairs = {(one.pk, slug) for one in (*mine, theirs) for slug in (QUAY, HUB)}

    count = acknowledge_all(
        factories.owner("grace"), pairs, note=NOTE, until=now + timedelta(days=1), is_snooze=True, now=now
    )

    assert count == 3
    assert Acknowledgement.objects.covered([*mine, theirs], now=now) == {(one.pk, QUAY) for one in mine}
    assert AuditEntry.objects.filter(action="snooze").count() == 3


def test_too_many_at_once_are_refused_whole(ada: User, namespace: Namespace, now: datetime) -> None:
    pairs = {(namespace.pk, QUAY)} | {(namespace.pk, f"registry/{n}.example.com") for n in range(500)}

    with pytest.raises(CannotAcknowledge, match="501 cells"):
        acknowledge_all(ada, pairs, note=NOTE, until=now + timedelta(days=1), now=now)

    assert not Acknowledgement.objects.exists()


def test_many_of_which_none_can_be_acknowledged_are_refused(ada: User, namespace: Namespace, now: datetime) -> None:
    with pytest.raises(CannotAcknowledge, match="None of these"):
        acknowledge_all(ada, {(namespace.pk, HUB)}, note=NOTE, until=now + timedelta(days=1), now=now)


def settled(now: datetime) -> list[str]:
    found = Acknowledgement.objects.settled_namespaces(now, among=Namespace.objects.present())
    return list(Namespace.objects.among(found).order_by("name").values_list("name", flat=True))


def test_a_namespace_is_settled_when_all_that_is_not_well_is_acknowledged(
    ada: User, cluster: Cluster, now: datetime
) -> None:
    until = now + timedelta(days=1)
    rows = {
        "all": {QUAY: "critical missing", HUB: "ok covered"},
        "half": {QUAY: "critical missing", HUB: "warning expiring"},
        "none": {QUAY: "critical missing"},
    }
    made = {name: factories.namespace(cluster, name, cells=cells) for name, cells in rows.items()}
    blind = factories.namespace(cluster, "blind", cells={QUAY: "critical missing"}, unreadable={"pods": "forbidden"})
    for one in (made["all"], made["half"], blind):
        acknowledge(ada, one, QUAY, note=NOTE, until=until, now=now)

    assert settled(now) == ["all"]
    assert settled(until) == []


# The pages


FORM = "/n/prod-eu/team-vision/acknowledge/registry/quay.io/"
END = "/n/prod-eu/team-vision/acknowledgement/end/registry/quay.io/"
CELL = "/n/prod-eu/team-vision/cells/registry/quay.io/"
SENT = {"note": NOTE, "way": "acknowledge", "length": "7", "date": ""}


@pytest.fixture
def visitor(client: Client, ada: User, broker_up: None) -> Client:
    client.force_login(ada)
    return client


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_link_in_a_mail_shows_the_form_and_changes_nothing(visitor: Client, namespace: Namespace) -> None:
    page = visitor.get(FORM)

    assert "Acknowledge quay.io" in text(page.content.decode())
    assert not Acknowledgement.objects.exists()


def test_the_form_writes_it_and_the_cell_tells_of_it(visitor: Client, namespace: Namespace) -> None:
    response = visitor.post(FORM, SENT)

    assert (response.status_code, response.headers["Location"]) == (302, CELL)
    (made,) = Acknowledgement.objects.all()
    page = text(visitor.get(CELL).content.decode())
    assert f"Acknowledged until {made.until.day} {made.until:%B %Y} by ada {NOTE}" in page
    assert "Missing here" in page
    assert "End now" in page


def test_the_drawer_gets_the_cell_back_and_the_matrix_is_told(visitor: Client, namespace: Namespace) -> None:
    response = visitor.post(FORM, {**SENT, "way": "snooze"}, headers={"HX-Request": "true", "HX-Target": "cell"})

    assert response.headers["HX-Trigger"] == '{"cell-changed": {}}'
    assert response.content.decode().lstrip().startswith('<article id="cell"')
    assert "Snoozed until" in text(response.content.decode())


def test_ended_by_hand_the_cell_counts_again(visitor: Client, namespace: Namespace) -> None:
    visitor.post(FORM, SENT)

    assert visitor.post(END).headers["Location"] == CELL
    assert visitor.post(END).headers["Location"] == CELL

    assert "End now" not in visitor.get(CELL).content.decode()


@pytest.mark.parametrize(
    ("change_", "words"),
    [
        ({"note": " "}, "Say why, so that others know"),
        ({"note": "x" * 501}, "at most 500 characters"),
        ({"length": "date"}, "Choose the day on whose evening it ends"),
        ({"length": "date", "date": "2001-01-01"}, "The end lies in the past"),
        ({"length": "date", "date": "2999-01-01"}, "more than a year ahead"),
        ({"length": "date", "date": "soon"}, "Enter a valid date"),
        ({"length": "5000"}, "not one of the available choices"),
    ],
)
def test_bad_input_comes_back_with_an_error_and_what_was_typed(
    visitor: Client, namespace: Namespace, change_: dict[str, str], words: str
) -> None:
    response = visitor.post(FORM, {**SENT, "note": "Half a reason", **change_})

    assert response.status_code == 422
    page = response.content.decode()
    assert words in text(page)
    assert "note" in change_ or 'value="Half a reason"' in page
    assert not Acknowledgement.objects.exists()


def test_a_date_that_is_not_asked_for_is_not_looked_at(now: datetime) -> None:
    form = AcknowledgeForm({**SENT, "length": "1", "date": "soon"}, now=now)

    assert form.is_valid()
    assert form.cleaned_data["until"] == now + timedelta(days=1)


def test_a_date_lasts_until_the_end_of_its_day(now: datetime) -> None:
    form = AcknowledgeForm({**SENT, "length": "date", "date": f"{now + timedelta(days=2):%Y-%m-%d}"}, now=now)

    assert form.is_valid()
    assert timezone.localtime(form.cleaned_data["until"]).strftime("%H:%M:%S") == "23:59:59"


def test_a_well_cell_is_told_apart_on_the_form(visitor: Client, cluster: Cluster) -> None:
    factories.namespace(cluster, cells={QUAY: "ok covered"})

    assert "nothing to acknowledge" in text(visitor.get(FORM).content.decode())


def test_a_note_is_shown_as_text(visitor: Client, namespace: Namespace) -> None:
    visitor.post(FORM, {**SENT, "note": "<script>alert(1)</script>"})

    assert "<script>alert" not in visitor.get(CELL).content.decode()


def test_the_page_of_the_namespace_marks_the_cell(visitor: Client, namespace: Namespace) -> None:
    visitor.post(FORM, SENT)

    assert re.search(
        r'title="Acknowledged until [^"]+ by ada"', visitor.get("/n/prod-eu/team-vision/").content.decode()
    )
