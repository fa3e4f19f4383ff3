"""Findings, expiry, and what people have seen to: by keyboard, on a narrow screen, without JavaScript, for everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visits
from tests.browser.pages import HARBOR, cell_url, drawer, matrix_cell, open_drawer

#: Its cell of HARBOR is red, and no other test repairs it.
NAMESPACE = "team-vision"
FORM = f"/n/demo/{NAMESPACE}/acknowledge/{HARBOR}/"
ROUTES = {
    "findings": "/findings/",
    "findings one by one": "/findings/?group=no",
    "findings resolved": "/findings/?tab=resolved",
    "findings of nothing": "/findings/?q=nothing-is-called-so",
    "acknowledge a cause": f"/findings/acknowledge/?code=PO01&credential={HARBOR}",
    "acknowledge": FORM,
    "expiry": "/expiry/?within=all",
    "calendar": "/expiry/?view=calendar",
    "without an end": "/expiry/?view=none",
}


@pytest.fixture
def acknowledged(visit: Visits) -> Iterator[Page]:
    """A page of an operator who has acknowledged the cell of NAMESPACE and HARBOR, until the test is over."""
    page = visit()
    page.goto(FORM)
    page.get_by_label("Why").fill("The robot account moves on Monday.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".seen-to")).to_contain_text("The robot account moves on Monday.")
    yield page
    page.goto(cell_url(NAMESPACE, HARBOR))
    page.get_by_role("button", name="End now").click()
    expect(page.locator(".seen-to")).to_have_count(0)


def test_a_cell_is_acknowledged_in_the_drawer_by_keyboard_and_returns(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    found = open_drawer(page, NAMESPACE, HARBOR)
    found.get_by_role("link", name="Acknowledge or snooze").press("Enter")
    note = found.get_by_label("Why")
    expect(note).to_be_visible()

    note.fill("Being looked at.")
    found.get_by_label("1 month").press("Space")
    found.get_by_label("Snooze").press("Space")
    note.press("Enter")

    expect(found.locator(".seen-to")).to_contain_text("Snoozed until")
    expect(found.locator(".verdict")).to_contain_text("The registry rejects it")
    page.keyboard.press("Escape")
    cell = matrix_cell(page, NAMESPACE, HARBOR)
    expect(cell).to_have_attribute("aria-label", re.compile("critical: rejected.*, acknowledged"))

    cell.click()
    drawer(page).get_by_role("button", name="End now").press("Enter")
    expect(drawer(page).locator(".seen-to")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(cell).not_to_have_attribute("aria-label", re.compile("acknowledged"))


def test_a_form_that_says_too_little_keeps_what_was_typed(visit: Visits) -> None:
    visit.expects("422")
    page = visit()
    page.goto("/")
    found = open_drawer(page, NAMESPACE, HARBOR)
    found.get_by_role("link", name="Acknowledge or snooze").click()
    found.get_by_label("Why").fill("Until the audit is over.")
    found.get_by_label("until a date").check()
    found.get_by_role("button", name="Save").click()

    expect(found.get_by_role("alert")).to_contain_text("Not saved yet")
    expect(found.get_by_label("Why")).to_have_value("Until the audit is over.")
    expect(found.get_by_label("Until the end of")).to_be_visible()


def test_a_cause_opens_by_keyboard_and_leads_to_its_cells(visit: Visits) -> None:
    page = visit()
    page.goto(f"/findings/?credential={HARBOR}")
    cause = page.locator(".causes > li").first
    cause.locator("summary").press("Enter")

    expect(cause.locator(".found > li").first).to_be_visible()
    cause.locator(".found a[data-drawer]").first.press("Enter")

    expect(drawer(page).locator(".verdict")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/findings/\?credential="))


def test_findings_follow_the_filters_and_have_a_url(visit: Visits) -> None:
    page = visit()
    page.goto("/findings/")
    page.get_by_label("Status", exact=True).select_option("warning")
    expect(page).to_have_url(re.compile(r"status=warning"))
    expect(page.locator(".causes .is-critical")).to_have_count(0)
    expect(page.locator(".causes .is-warning").first).to_be_visible()

    page.reload()
    expect(page.get_by_label("Status", exact=True)).to_have_value("warning")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator(".causes .is-critical").first).to_be_visible()


def test_a_whole_cause_is_acknowledged_and_ended_again(visit: Visits) -> None:
    page = visit()
    page.goto(f"/findings/?credential={HARBOR}&code=PS06")
    cause = page.locator(".causes > li").first
    cause.locator("summary").click()
    cause.get_by_role("link", name="Acknowledge").click()
    page.get_by_label("Why").fill("All of them move together.")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("status").filter(has_text="acknowledged or snoozed")).to_be_visible()
    page.goto(f"/findings/?credential={HARBOR}&code=PS06&acknowledged=only&group=no")
    link = page.locator(".found a[data-drawer]").first
    expect(link).to_be_visible()
    page.goto(link.get_attribute("href") or "")
    page.get_by_role("button", name="End now").click()
    expect(page.locator(".seen-to")).to_have_count(0)


def test_the_calendar_goes_from_month_to_month_and_a_day_to_its_list(visit: Visits) -> None:
    page = visit()
    page.goto("/expiry/?view=calendar&month=2026-12")
    expect(page.get_by_role("heading", level=1)).to_have_text("December 2026")
    page.get_by_role("link", name="Next month").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("January 2027")
    page.get_by_role("link", name="This month").click()
    expect(page.locator(".month .today")).to_have_count(1)


def test_one_robot_account_in_many_namespaces_opens_into_them(visit: Visits) -> None:
    page = visit()
    page.goto("/expiry/?within=all")
    many = page.locator(".endings details").first
    many.locator("summary").press("Enter")
    expect(many.locator(".found > li").nth(1)).to_be_visible()


def test_without_javascript_everything_is_reached_by_links_and_forms(visit: Visits) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/findings/")
    page.locator(".causes summary").first.click()
    page.locator(".causes .rows-of .link").first.click()
    expect(page.locator(".found > li").first).to_be_visible()

    page.goto("/expiry/?within=all")
    page.locator(".endings summary").first.click()
    page.locator(".endings .rows-of .link").first.click()
    expect(page.locator(".found > li").nth(1)).to_be_visible()

    page.goto(FORM)
    page.get_by_label("Why").fill("By hand.")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="End now").click()
    expect(page.locator(".seen-to")).to_have_count(0)


@pytest.mark.parametrize("place", ROUTES)
def test_axe_finds_nothing(acknowledged: Page, place: str) -> None:
    acknowledged.goto(ROUTES[place])

    assert_accessible(acknowledged)


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(visit: Visits, width: int) -> None:
    page = visit(width=width, height=844)
    for path in ROUTES.values():
        page.goto(path)
        page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
        page.wait_for_load_state("networkidle")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path
