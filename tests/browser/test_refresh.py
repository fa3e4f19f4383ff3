"""A page that is open asks for what is new, and disturbs nobody with it."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visits
from tests.browser.pages import HARBOR, namespace_url, open_drawer
from tests.rig.process import wait_until


def test_a_refresh_keeps_focus_scroll_and_what_is_open(visit: Visits) -> None:
    page = visit(height=700)
    page.clock.install()
    page.goto("/")
    page.evaluate("window.marker = 'the same page'")
    frame = page.locator(".matrix-frame")
    # From the middle: at its end the frame scrolls back when a line above it goes, and it gets taller.
    names = page.locator(".matrix tbody th.name a").all_text_contents()
    name = page.locator(".matrix tbody th.name").get_by_role("link", name=names[len(names) // 2], exact=True)
    name.focus()
    scrolled = frame.evaluate("frame => frame.scrollTop")
    assert scrolled > 0
    name.evaluate("link => link.marker = 'the old link'")
    _scan(visit)
    _let_it_refresh(page)
    assert name.evaluate("link => link.marker") is None
    expect(name).to_be_focused()
    assert frame.evaluate("frame => frame.scrollTop") == scrolled

    shown = open_drawer(page, "team-vision", HARBOR)
    pod = shown.locator("#pod-1")
    pod.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(pod.locator("pre")).to_be_visible()
    # The page forgets what it has seen, so the server sends everything again.
    shown.locator("#cell").evaluate("cell => { delete cell.dataset.seen; cell.marker = 'the old cell' }")
    _let_it_refresh(page)
    expect(shown).to_be_visible()
    assert shown.locator("#cell").evaluate("cell => cell.marker") is None
    expect(pod.locator("pre")).to_be_visible()
    assert page.evaluate("window.marker") == "the same page"


def test_a_refresh_under_way_does_not_swallow_what_the_reader_asks_for(visit: Visits) -> None:
    """Its answer would replace the very element that the filter's answer is meant for."""
    page = visit()
    page.goto("/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/", hold)
    page.evaluate("htmx.trigger('#matrix', 'refresh')")
    wait_until(lambda: _is_held(page, held), "the refresh is under way")
    page.locator("#tally-warning").click()
    held[0].continue_()

    expect(page.locator("#tally-warning")).to_have_attribute("aria-current", "true")
    expect(page.locator(".matrix tbody td.worst .is-critical")).to_have_count(0)


def _is_held(page: Page, held: list[Route]) -> bool:
    page.evaluate("0")  # lets Playwright hand over what has happened
    return bool(held)


def _scan(visit: Visits) -> None:
    """Have the cluster scanned by another person, and wait for it."""
    other = visit()
    other.goto("/")
    before = other.locator(".freshness time").first.get_attribute("datetime")
    other.get_by_role("button", name="Scan now").click()

    def is_newer() -> bool:
        other.goto("/")
        time = other.locator(".freshness time")
        return time.count() > 0 and time.first.get_attribute("datetime") != before

    wait_until(is_newer, "a scan has ended")


def _let_it_refresh(page: Page) -> None:
    """Let eleven seconds pass on the page's own clock, and wait for what it asks the server then."""
    with page.expect_response(lambda response: "hx-request" in response.request.headers):
        page.clock.run_for(11_000)
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)


def test_nothing_new_is_answered_with_304_and_swaps_nothing(visit: Visits) -> None:
    page = visit()
    page.clock.install()
    page.goto("/audit/")
    page.goto(namespace_url("team-quality"))
    page.locator("#namespace").evaluate("element => element.marker = 'the same element'")
    _let_it_refresh(page)
    assert page.locator("#namespace").evaluate("element => element.marker") == "the same element"


def test_a_server_that_does_not_answer_is_said_so_and_forgotten_when_it_does(visit: Visits) -> None:
    visit.expects("Failed to load resource|htmx:")
    page = visit()
    page.clock.install()
    page.goto("/")
    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(11_000)
    expect(page.locator("#offline")).to_contain_text("Credboard does not answer.")
    expect(page.locator("table.matrix")).to_be_visible()

    page.unroute_all()
    page.clock.run_for(11_000)
    expect(page.locator("#offline")).not_to_be_visible()
