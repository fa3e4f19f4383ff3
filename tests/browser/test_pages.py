"""What every page owes its reader: keyboard, history, no JavaScript, dark mode and a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.layout import misplaced
from tests.browser.pages import (
    GITLAB,
    HARBOR,
    cell_url,
    create_url,
    drawer,
    matrix_cell,
    namespace_url,
    open_drawer,
)
from tests.browser.product import Product
from tests.rig.process import wait_until

WIDTHS = (2560, 1440, 1024, 390)


# Signing in


def test_a_local_user_signs_in_and_out(visit: Visits, product: Product) -> None:
    page = visit(None)
    page.goto("/audit/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label(re.compile("^User ?name$")).fill("admin")
    page.get_by_label("Password").fill("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not go together")

    page.get_by_label("Password").fill(product.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")

    page.locator("summary.who").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_session_that_ends_behind_an_open_page_leads_to_signing_in_and_back(visit: Visits, product: Product) -> None:
    page = visit(None)
    page.goto("/?status=critical")
    _sign_in(page, product)
    expect(page.locator("table.matrix")).to_be_visible()

    page.context.clear_cookies()
    page.get_by_label("Status", exact=True).select_option("warning")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    _sign_in(page, product)
    expect(page.locator("table.matrix")).to_be_visible()


def _sign_in(page: Page, product: Product) -> None:
    page.get_by_label(re.compile("^User ?name$")).fill("admin")
    page.get_by_label("Password").fill(product.password)
    page.get_by_role("button", name="Sign in").click()


# Keyboard


def test_the_first_tab_skips_to_the_content(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_slash_goes_to_the_search_and_typing_filters(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search Namespaces, owners and labels")).to_be_focused()

    page.keyboard.type("genomics")
    expect(page.locator(".matrix tbody th.name a")).to_have_text(["team-genomics"])
    expect(page).to_have_url(re.compile(r"\?q=genomics$"))
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#announce")).to_have_text("1 Namespace shown")


def test_the_keyboard_alone_walks_to_a_cell_opens_it_and_comes_back(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    page.locator(".matrix tbody tr", has_text="team-vision").locator("th a").focus()
    page.keyboard.press("ArrowRight")
    cell = matrix_cell(page, "team-vision", HARBOR)
    expect(cell).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(matrix_cell(page, "team-vision", GITLAB)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(matrix_cell(page, "team-recsys", HARBOR)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(cell).to_be_focused()

    page.keyboard.press("Enter")
    shown = drawer(page)
    expect(shown.locator(".verdict")).to_be_visible()
    for _ in range(25):
        page.keyboard.press("Tab")
        # From a modal dialog Tab goes to the browser's own controls (the body), never to the page behind it.
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(shown).not_to_be_visible()
    expect(cell).to_be_focused()
    expect(page).to_have_url(re.compile(r"/$"))


def test_escape_closes_a_menu_and_gives_the_focus_back(visit: Visits, product: Product) -> None:
    page = visit(None)
    page.goto("/audit/")
    page.get_by_label(re.compile("^User ?name$")).fill("admin")
    page.get_by_label("Password").fill(product.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    page.locator("summary.who").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).not_to_be_visible()
    expect(page.locator("summary.who")).to_be_focused()


# History


def test_back_and_forward_go_through_filters_and_the_drawer(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    all_names = page.locator(".matrix tbody th.name a").all_inner_texts()
    page.locator("#tally-critical").click()
    expect(page).to_have_url(re.compile(r"\?status=critical$"))
    expect(page.locator("#tally-warning b")).to_have_text(re.compile(r"\d+"))
    expect(page.locator(".matrix tbody td.worst .is-critical")).to_have_count(_rows(page))
    critical = page.locator(".matrix tbody th.name a").all_inner_texts()
    assert 0 < len(critical) < len(all_names)

    open_drawer(page, "team-vision", HARBOR)
    expect(page).to_have_url(re.compile(re.escape(cell_url("team-vision", HARBOR)) + "$"))
    expect(page).to_have_title(re.compile("^harbor.example.com"))

    page.go_back()
    expect(drawer(page)).not_to_be_visible()
    expect(page).to_have_url(re.compile(r"\?status=critical$"))
    page.go_forward()
    expect(drawer(page).locator(".verdict")).to_contain_text("rejects")
    page.go_back()
    expect(drawer(page)).not_to_be_visible()
    page.go_back()
    expect(page.locator(".matrix tbody th.name a")).to_have_text(all_names)
    expect(page.get_by_label("Status", exact=True)).to_have_value("")
    page.go_forward()
    expect(page.locator(".matrix tbody th.name a")).to_have_text(critical)
    expect(page.get_by_label("Status", exact=True)).to_have_value("critical")


def _rows(page: Page) -> int:
    expect(page.locator("#tally-critical")).to_have_attribute("aria-current", "true")
    return int(page.locator("#tally-critical b").inner_text())


def test_a_reload_of_an_open_drawer_is_the_page_of_the_cell(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    open_drawer(page, "team-vision", HARBOR)
    page.reload()

    expect(page.get_by_role("heading", level=1)).to_have_text("harbor.example.com")
    expect(page.locator(".verdict")).to_contain_text("rejects")
    expect(drawer(page)).not_to_be_visible()


def test_every_filter_is_in_the_url_and_clear_takes_all_away(visit: Visits) -> None:
    page = visit()
    page.goto("/")
    page.get_by_label("Credential", exact=True).select_option(HARBOR)
    expect(page).to_have_url(re.compile("credential=registry"))
    page.get_by_label("Reason").select_option("denied")
    expect(page.locator(".matrix tbody th.name a")).to_have_text(["team-forecast"])

    fresh = visit()
    fresh.goto(page.url)
    expect(fresh.locator(".matrix tbody th.name a")).to_have_text(["team-forecast"])
    expect(fresh.get_by_label("Reason")).to_have_value("denied")

    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_label("Reason")).to_have_value("")
    expect(page).to_have_url(re.compile(r"/$"))


# Without JavaScript


def test_without_javascript_the_matrix_filters(visit: Visits) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/")
    page.get_by_label("Reason").select_option("denied")
    page.get_by_role("button", name="Apply").click()

    expect(page.locator(".matrix tbody th.name a")).to_have_text(["team-forecast"])
    expect(page.get_by_label("Switch between light and dark")).not_to_be_visible()


def test_without_javascript_a_missing_credential_is_created(visit: Visits, product: Product) -> None:
    page = visit("forecast@example.com", java_script_enabled=False)
    page.goto("/")
    matrix_cell(page, "team-forecast", GITLAB).click()
    expect(page.locator("main .verdict")).to_contain_text("Missing here")
    page.get_by_role("link", name="Create it here").click()
    expect(page.get_by_label("Name of the Secret")).to_have_value("regcred-forecast")
    page.get_by_label("User name", exact=True).fill("gitlab+deploy-token-1042")
    page.get_by_label("Password or token").fill("typed-without-javascript")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Created the Secret regcred-forecast in team-forecast.")).to_be_visible()

    def is_covered() -> bool:
        if page.locator("#created-status.is-ok, #created-status .is-ok").count():
            return True
        page.get_by_role("link", name="Look again").click()
        return False

    wait_until(is_covered, "the page says that it is covered")
    assert product.cluster.secret("team-forecast", "regcred-forecast") is not None


# Light and dark


def test_the_theme_follows_the_system_until_somebody_chooses(visit: Visits) -> None:
    page = visit(color_scheme="dark")
    page.goto("/")
    dark = _background(page)
    page.emulate_media(color_scheme="light")
    light = _background(page)
    assert sum(dark) < 150
    assert sum(light) > 600

    page.get_by_role("button", name="Switch between light and dark").click()
    assert _background(page) == dark
    page.reload()
    assert _background(page) == dark
    page.goto("/audit/")
    assert _background(page) == dark


def _background(page: Page) -> list[int]:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]


# Narrow and wide


def _everywhere(page: Page, look: Callable[[str], None]) -> None:
    """`look` at every kind of page, the drawer and its form included."""
    for path in (
        "/",
        cell_url("team-vision", HARBOR),
        create_url("serving-staging", HARBOR),
        namespace_url("kubeflow-user-example-com"),
        namespace_url("restricted"),
        "/audit/",
        "/nothing/here/",
    ):
        page.goto(path)
        look(path)
    page.goto("/")
    open_drawer(page, "serving-staging", HARBOR)
    look("drawer")
    drawer(page).get_by_role("link", name="Create it here").click()
    expect(drawer(page).get_by_label("Name of the Secret")).to_be_visible()
    look("form in the drawer")


def test_from_390_to_2560_pixels_nothing_is_outside_the_window_or_cut_off(visit: Visits) -> None:
    visit.expects("404")
    page = visit()

    def look(place: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            assert (place, width, misplaced(page)) == (place, width, [])

    _everywhere(page, look)


def test_on_a_narrow_screen_the_names_stay_while_the_matrix_scrolls(visit: Visits) -> None:
    page = visit(width=390, height=844)
    page.goto("/")
    name = page.locator(".matrix tbody th.name").first
    before = name.bounding_box()
    page.locator(".matrix-frame").evaluate("frame => frame.scrollTo({ left: 600, behavior: 'instant' })")

    assert before is not None
    assert (name.bounding_box() or {})["x"] == before["x"]
