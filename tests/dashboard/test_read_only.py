"""CREDBOARD_READ_ONLY: pages offer to create nothing, and say why."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from scanner.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db

CELL = "/n/demo/team-a/cells/registry/quay.io/"
CREATE = "/n/demo/team-a/create/registry/quay.io/"
CREATED = "/n/demo/team-a/created/registry/quay.io/"


@pytest.fixture(name="page")
def _page(client: Client) -> Client:
    factories.namespace(
        factories.cluster("demo"),
        "team-a",
        cells={"registry/quay.io": "critical missing"},
        service_accounts=["default"],
    )
    client.force_login(factories.operator())
    return client


def test_where_credboard_may_write_the_cell_offers_to_create_what_is_missing(page: Client) -> None:
    text = page.get(CELL).content.decode()
    assert f'href="{CREATE}"' in text
    assert "only reads the cluster" not in text


def test_where_it_only_reads_the_cell_says_so_and_offers_nothing(page: Client, settings: Any) -> None:
    settings.READ_ONLY = True
    text = page.get(CELL).content.decode()
    assert CREATE not in text
    assert "This Credboard only reads the cluster" in text
    assert "kubectl create secret docker-registry pull-quay.io --namespace team-a" in text


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("url", [CREATE, CREATED])
def test_where_it_only_reads_no_form_is_shown_or_taken(page: Client, settings: Any, method: str, url: str) -> None:
    settings.READ_ONLY = True
    response = getattr(page, method)(url, {"name": "regcred"})
    assert response.status_code == 403
    assert "only reads the cluster" in response.content.decode()
    assert not AuditEntry.objects.exists()


def test_a_cell_that_no_creation_would_cure_says_nothing_of_it(client: Client, settings: Any) -> None:
    settings.READ_ONLY = True
    factories.namespace(factories.cluster("demo"), "team-a", cells={"registry/quay.io": "ok present"})
    client.force_login(factories.operator())
    assert "only reads the cluster" not in client.get(CELL).content.decode()
