"""Served under a path of a host that others share, as behind Kubeflow's gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from django.urls import set_script_prefix
from pytest_django.fixtures import Settings

from dashboard.wsgi import below

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    set_script_prefix("/")


def ask(path: str) -> tuple[str, dict[str, str], str]:
    environ = RequestFactory().get(path).environ
    told: list[Any] = []
    body = b"".join(below("/credboard", get_wsgi_application())(environ, lambda *answer: told.extend(answer)))
    return told[0], dict(told[1]), body.decode()


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
