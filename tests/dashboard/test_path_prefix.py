"""Served under a path of a host that others share, as behind Kubeflow's gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from django.urls import set_script_prefix
from pytest_django.fixtures import Settings

from dashboard.alerting.naming import naming
from dashboard.wsgi import below
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    set_script_prefix("/")


def ask(path: str) -> tuple[str, dict[str, str], str]:
    environ = RequestFactory().get(path).environ
    told: list[Any] = []
    with closing(below("/credboard", get_wsgi_application())(environ, lambda *answer: told.extend(answer))) as response:
        return told[0], dict(told[1]), b"".join(response).decode()


@pytest.fixture(autouse=True)
def _prefix(settings: Settings) -> None:
    settings.FORCE_SCRIPT_NAME = "/credboard"


def test_links_and_redirects_keep_the_prefix() -> None:
    status, headers, _ = ask("/credboard/")

    assert status == "302 Found"
    assert headers["Location"] == "/credboard/sign-in/?next=/credboard/"


def test_health_checks_come_without_it() -> None:
    assert ask("/healthz")[0] == "200 OK"


def test_a_path_that_only_begins_alike_is_not_below_it() -> None:
    status, _, _ = ask("/credboardhealthz")

    assert not status.startswith("200")


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com/credboard"])
def test_links_in_alerts_have_the_prefix_once(settings: Settings, url: str) -> None:
    where = factories.namespace(factories.cluster("prod-eu"), "team-vision")
    settings.PUBLIC_URL = url
    set_script_prefix("/credboard/")
    link = naming({where.pk: where.name}, zone=UTC).link

    cell = link(where.cluster_id, "tls", "", where.pk)
    assert cell == "https://example.com/credboard/n/prod-eu/team-vision/cells/tls/"
    assert link(where.cluster_id, "tls", "", None).startswith("https://example.com/credboard/?cluster=prod-eu")
