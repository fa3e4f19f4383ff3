"""The audit page: who sees which entries, in what order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db


def entry(namespace: str, *, actor: str = "ada", minutes_ago: int = 0, cluster: str = "prod-eu") -> AuditEntry:
    return AuditEntry.objects.create(
        at=timezone.now() - timedelta(minutes=minutes_ago),
        actor=actor,
        action="create-pull-secret",
        cluster=cluster,
        namespace=namespace,
        object=f"Secret/for-{namespace}",
        outcome="done",
    )


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.operator())
    return client


def page(client: Client, query: str = "") -> str:
    return client.get(f"/audit/{query}").content.decode()


def test_an_operator_sees_all_newest_first(operator: Client) -> None:
    entry("team-old", minutes_ago=9)
    entry("team-new")

    text = page(operator)

    assert text.index("for-team-new") < text.index("for-team-old")


def test_an_owner_sees_what_happened_in_their_namespaces_only(client: Client) -> None:
    factories.namespace(factories.cluster("prod-eu"), "team-vision", owners=("grace",))
    factories.namespace(factories.cluster("prod-us"), "team-vision")
    entry("team-vision")
    entry("team-nlp")
    entry("team-vision", cluster="prod-us", actor="somebody-else")
    client.force_login(factories.owner("grace"))

    text = page(client)

    assert "for-team-vision" in text
    assert "for-team-nlp" not in text
    assert "somebody-else" not in text
    assert "for-team-nlp" not in page(client, "?namespace=team-nlp")


def test_entries_are_found_by_namespace_and_person(operator: Client) -> None:
    entry("team-vision", actor="ada")
    entry("team-vision-2", actor="grace")

    assert "for-team-vision-2" not in page(operator, "?actor=ada")
    assert "for-team-vision<" not in page(operator, "?namespace=vision-2")
    assert "No entry matches" in page(operator, "?actor=nobody")


def test_entries_come_in_pages_that_keep_the_filter(operator: Client) -> None:
    for number in range(51):
        entry(f"team-{number}", minutes_ago=number)

    first = page(operator, "?actor=ada")

    assert "1–50 of 51" in first
    assert 'href="?actor=ada&amp;page=2"' in first
    assert "for-team-50" in page(operator, "?actor=ada&page=2")
    assert "for-team-50" in page(operator, "?page=999")
    assert "1–50 of 51" in page(operator, "?page=x")


def test_an_empty_audit_says_what_will_be_there(operator: Client) -> None:
    assert "Nothing was changed yet" in page(operator)


def test_names_are_text(operator: Client) -> None:
    entry("<script>alert(1)</script>")

    assert "<script>alert" not in page(operator)
