"""`manage.py start migrate`, as the chart's Job runs it at each installation and upgrade."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from dashboard.management.commands import start
from scanner.models import Cluster
from tests import factories

pytestmark = pytest.mark.django_db


def migrate(cluster: str, *include: str) -> str:
    told = StringIO()
    options: dict[str, Any] = {"cluster": cluster, "include": list(include)}
    call_command("start", "migrate", stdout=told, **options)
    return told.getvalue()


def clusters() -> list[tuple[str, str, list[str]]]:
    return list(Cluster.objects.order_by("pk").values_list("name", "kubeconfig", "include"))


def test_the_cluster_that_it_runs_in_is_scanned_and_keeps_what_was_chosen() -> None:
    assert "The cluster prod will be scanned." in migrate("prod", "team-a", "team-b")
    assert "The cluster prod is scanned." in migrate("prod", "team-a", "team-b")
    migrate("prod")

    assert clusters() == [("prod", "", ["team-a", "team-b"])]


def test_another_name_makes_no_second_one_of_the_same_cluster() -> None:
    migrate("in-cluster", "team-a")

    told = migrate("prod", "team-b")

    assert "called in-cluster so far" in told
    assert "The cluster in-cluster is scanned." in told
    assert clusters() == [("in-cluster", "", ["team-b"])]


def test_why_the_database_lets_nobody_in_is_told_at_once_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a Job with a wrong password says nothing until Helm has given up."""
    refused = OperationalError('FATAL:  password authentication failed for user "ada" of-no-use')
    answers = iter([refused, refused, None])

    def connect() -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr(connection, "ensure_connection", connect)
    monkeypatch.setattr("time.sleep", lambda _: None)
    told: list[str] = []
    start._wait_for_database(told.append, seconds=3600)

    (words,) = told
    assert "refuses user or password (OperationalError). Correct user and password in DATABASE_URL. Waiting" in words
    assert "of-no-use" not in words


def test_one_that_people_added_with_a_kubeconfig_is_another_cluster() -> None:
    factories.cluster(name="elsewhere", kubeconfig="/kubeconfigs/elsewhere")

    migrate("prod")

    assert [name for name, *_ in clusters()] == ["elsewhere", "prod"]
