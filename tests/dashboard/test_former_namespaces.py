"""A Namespace that is made anew under a name that another one had: what was of that one is not its owners' business."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.audit import AuditPage
from dashboard.models import Acknowledgement
from dashboard.reports import sending
from scanner.models import AuditEntry, Namespace, Transition
from tests import factories

pytestmark = pytest.mark.django_db

NOW = timezone.now()
BEGAN, BEFORE, SINCE = (NOW - timedelta(hours=hours) for hours in (2, 3, 1))
QUAY = "registry/quay.io"


@pytest.fixture(name="namespace")
def _namespace() -> Namespace:
    """One that began two hours ago, with a former one's history and its own."""
    made = factories.namespace(
        factories.cluster(scanned_at=NOW), owners=("grace",), cells={QUAY: "critical missing"}, began_at=BEGAN
    )
    column = made.cells.get().credential
    for at, reason in ((BEFORE, "former-reason"), (SINCE, "present-reason")):
        Transition.objects.create(
            namespace=made, credential=column, at=at, status_before="", status_after="critical", reason_after=reason
        )
        factories.finding(made, "HY01", object=f"Secret/{reason}", first_seen_at=at, resolved_at=at)
        AuditEntry.objects.create(
            at=at, actor="ada", action="create", cluster="prod-eu", namespace=made.name, object=reason, outcome="done"
        )
    return made


def snooze(namespace: Namespace, **fields: object) -> Acknowledgement:
    values = {"is_snooze": True, "note": "the former owner's words", "actor": "ada", "until": NOW + timedelta(days=9)}
    return Acknowledgement.objects.create(namespace=namespace, credential=QUAY, **values | fields)


def test_a_snooze_does_not_outlive_its_namespace(namespace: Namespace) -> None:
    former = snooze(namespace, created_at=BEFORE)
    assert not Acknowledgement.objects.in_force(NOW).exists()

    Acknowledgement.objects.filter(pk=former.pk).update(created_at=SINCE)
    assert Acknowledgement.objects.in_force(NOW).exists()


def test_what_people_said_of_the_former_is_for_operators(namespace: Namespace) -> None:
    snooze(namespace, created_at=BEFORE)

    assert not Acknowledgement.objects.visible_to(factories.owner()).exists()
    assert Acknowledgement.objects.visible_to(factories.operator()).exists()


@pytest.mark.parametrize("page", ["cell", "namespace", "export", "api"])
def test_owners_see_the_history_of_the_present_one_and_operators_all(
    client: Client, namespace: Namespace, page: str
) -> None:
    names = [namespace.cluster.name, namespace.name]
    address = {
        "cell": reverse("cell", args=[*names, QUAY]),
        "namespace": reverse("namespace", args=names),
        "export": reverse("export", args=["findings"]) + "?tab=resolved",
        "api": "/api/v1/findings?state=resolved",
    }[page]

    def told(user: User) -> str:
        client.force_login(user)
        response = client.get(address)
        text = response.getvalue().decode() if response.streaming else response.content.decode()
        return text.replace(" reason", "-reason")

    of_owner, of_operator = told(factories.owner()), told(factories.operator())

    assert ("present-reason" in of_owner, "former-reason" in of_owner) == (True, False)
    assert ("present-reason" in of_operator, "former-reason" in of_operator) == (True, True)


def test_a_report_tells_nothing_of_the_former_one(namespace: Namespace) -> None:
    (told,) = sending._changes(Q(), since=BEFORE, now=NOW).values()

    assert [change.at for change in told] == [SINCE]


def test_the_audit_of_the_former_one_is_for_operators(namespace: Namespace) -> None:
    def told(user: User) -> list[str]:
        return [entry.object for entry in AuditPage(user, QueryDict()).rows]

    assert told(factories.owner()) == ["present-reason"]
    assert told(factories.operator()) == ["present-reason", "former-reason"]
