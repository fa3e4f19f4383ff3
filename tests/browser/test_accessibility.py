"""axe finds nothing on any page, in light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visits
from tests.browser.pages import (
    HARBOR,
    cell_url,
    create_url,
    drawer,
    namespace_url,
    open_drawer,
)


def _matrix(page: Page) -> None:
    page.goto("/")


def _drawer(page: Page) -> None:
    page.goto("/")
    open_drawer(page, "serving-staging", HARBOR)


def _form_in_drawer(page: Page) -> None:
    _drawer(page)
    drawer(page).get_by_role("link", name="Create it here").click()
    expect(drawer(page).get_by_label("Name of the Secret")).to_be_visible()


def _form_with_errors(page: Page) -> None:
    page.goto(create_url("serving-staging", HARBOR))
    page.get_by_label("Name of the Secret").fill("Not A Name")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#create-refused")).to_be_visible()


def _goes_to(path: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(path)

    return go


_PLACES: dict[str, Callable[[Page], None]] = {
    "matrix": _matrix,
    "matrix that matches nothing": _goes_to("/?q=nothing-is-called-so"),
    "drawer": _drawer,
    "create form": _form_in_drawer,
    "create form with errors": _form_with_errors,
    "cell": _goes_to(cell_url("team-vision", HARBOR)),
    "Namespace": _goes_to(namespace_url("kubeflow-user-example-com")),
    "Namespace that may not be read": _goes_to(namespace_url("restricted")),
    "audit": _goes_to("/audit/"),
    "error": _goes_to("/nothing/here/"),
}


@pytest.mark.parametrize("place", _PLACES)
def test_axe_finds_nothing(visit: Visits, place: str) -> None:
    visit.expects("404|422")
    page = visit()
    _PLACES[place](page)
    assert_accessible(page)


def test_axe_finds_nothing_at_the_door(visit: Visits) -> None:
    page = visit(None)
    page.goto("/sign-in/")
    assert_accessible(page)
