"""What URLs may hold. PostgreSQL raises at a NUL, so one must never get as far as a query."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from scanner.credential import column
from scanner.models import Cluster
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(name="ada")
def _ada(client: Client) -> Client:
    client.force_login(factories.operator())
    return client


@pytest.fixture(name="cluster", autouse=True)
def _cluster() -> Cluster:
    made = factories.cluster("prod", scanned_at=timezone.now())
    factories.namespace(made, "team-a", cells={"registry/quay.io:5000": "ok covered"})
    return made


@pytest.mark.parametrize("character", ["%00", "%01", "%0A", "%1F", "%7F"])
@pytest.mark.parametrize(
    "path",
    [
        "/n/prod/team-a{}/",
        "/n/prod{}/team-a/",
        "/n/prod/team-a/cells/registry/x{}/",
        "/n/prod/team-a/create/registry/x{}/",
        "/n/prod/team-a/created/registry/x{}/",
        "/n/prod/team-a{}/scan/",
        "/scan/prod{}/",
    ],
)
def test_control_characters_in_a_path_are_a_page_that_does_not_exist(ada: Client, path: str, character: str) -> None:
    assert ada.get(path.format(character)).status_code == 404
    assert ada.post(path.format(character)).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/audit/?namespace=%00", "/audit/?actor=a%00b", "/?q=%00a", "/?label=a%00=b", "/?owner=%00", "/?credential=%00"],
)
def test_control_characters_in_a_filter_are_left_out(ada: Client, path: str) -> None:
    assert ada.get(path).status_code == 200


def test_a_cluster_named_with_a_control_character_does_not_exist(ada: Client) -> None:
    assert ada.get("/?cluster=prod%00").status_code == 404


@pytest.mark.parametrize("name", ["kubernetes-admin@kubernetes", "arn:aws:eks:eu-1:1:cluster-a", "Büro 1"])
def test_a_cluster_may_be_called_what_its_context_is(ada: Client, name: str) -> None:
    made = factories.cluster(name, scanned_at=timezone.now())
    factories.namespace(made, "team-b", cells={"tls": "ok valid"})
    for page in (reverse("namespace", args=[name, "team-b"]), reverse("cell", args=[name, "team-b", "tls"])):
        assert ada.get(page).status_code == 200


def test_whatever_a_column_is_called_its_cell_has_a_page(ada: Client, cluster: Cluster) -> None:
    odd = column("registry", "quay.io\n\0:5000/ä b?#%")
    factories.namespace(cluster, "odd", cells={odd: "ok covered"})
    assert ada.get("/").status_code == 200
    assert ada.get(reverse("cell", args=["prod", "odd", odd])).status_code == 200
