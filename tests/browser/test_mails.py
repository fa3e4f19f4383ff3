"""Reports as they look: in a mail program's window, and on the pages that keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.mail.rendering import render_report
from dashboard.reports.report import Counts, NamespaceReport, Top
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visits
from tests.browser.product import OPERATOR
from tests.dashboard.test_mail_rendering import cluster, full, item, report

#: Rules for a piece of HTML that is no page: a mail has no landmarks and no main heading.
RULES = [
    "color-contrast",
    "link-name",
    "link-in-text-block",
    "html-has-lang",
    "document-title",
    "list",
    "td-headers-attr",
]
LONG = "kubeflow-user-" + "x" * 49  # as long as the name of a Namespace can be


def _mails() -> dict[str, str]:
    long = item(LONG, f"registry/{'harbor.' * 12}example.com", what="No blank " + "x" * 200)
    owner = cluster(
        counts=Counts(critical=1, warning=2),
        namespaces=Top.of([NamespaceReport(name=LONG, status="critical", url=long.url, items=Top.of([long]))]),
        new=Top.of([long]),
    )
    return {
        "operator": render_report(report(full(25))).html,
        "owner": render_report(report(owner, is_operator=False)).html,
        "well": render_report(report(cluster())).html,
        # Some programs throw style sheets away and keep what is inline.
        "without style sheets": re.sub(r"<style.*?</style>", "", render_report(report(full(2))).html, flags=re.DOTALL),
    }


MAILS = _mails()


@pytest.fixture(name="window")
def _window(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(locale="en-GB", timezone_id="UTC", java_script_enabled=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("width", [390, 700])
@pytest.mark.parametrize("name", MAILS)
def test_a_mail_fits_its_window_and_loads_nothing(name: str, width: int, window: Page) -> None:
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.set_viewport_size({"width": width, "height": 900})

    window.set_content(MAILS[name], wait_until="load")

    assert window.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", MAILS)
def test_a_mail_can_be_read_by_everyone_in_light_and_dark(name: str, scheme: str, window: Page) -> None:
    window.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    window.set_content(MAILS[name])

    found = Axe().run(window, options={"resultTypes": ["violations"], "runOnly": RULES}).response["violations"]

    assert [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found] == []


def test_in_the_dark_a_mail_is_dark(window: Page) -> None:
    window.emulate_media(color_scheme="dark")
    window.set_content(MAILS["well"])

    grounds = window.evaluate(
        "[document.body, document.querySelector('div.card')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert grounds == ["rgb(14, 17, 22)", "rgb(21, 26, 33)"]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["/reports/", "/reports/?state=failed", "/reports/preview/"])
def test_the_pages_of_mails_fit_and_axe_finds_nothing(path: str, width: int, visit: Visits) -> None:
    page = visit(width=width)
    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)


@pytest.mark.parametrize("path", ["/settings/report/confirm/wrong/", "/unsubscribe/wrong/"])
def test_a_link_of_a_mail_that_does_not_work_says_so_on_a_page_for_everyone(path: str, visit: Visits) -> None:
    visit.expects("404")
    page = visit(None if path.startswith("/unsubscribe") else OPERATOR, width=390, height=844)
    page.goto(path)

    expect(page.get_by_role("heading", level=1)).to_have_text("Link not valid")
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    expect(page.get_by_role("link", name="To your report")).to_have_attribute("href", "/settings/report/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)


def test_the_preview_shows_ones_own_report_in_a_frame(visit: Visits) -> None:
    page = visit()
    page.goto("/reports/")
    page.get_by_role("link", name="Preview my next report").click()

    frame = page.frame_locator("iframe[title='The HTML part of the mail']")
    expect(frame.get_by_text("Worst Namespaces")).to_be_visible()
    expect(page.get_by_text("No mail server is set, so nothing can be sent.")).to_be_visible()
