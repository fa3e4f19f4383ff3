"""What axe finds on a page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def assert_accessible(page: Page) -> None:
    """With every explanation opened: all rules in light, and those about colours in dark as well."""
    page.evaluate("for (const one of document.querySelectorAll('main details, dialog details')) one.open = true")
    assert ("light", _violations(page)) == ("light", [])
    page.emulate_media(color_scheme="dark")
    assert ("dark", _violations(page, "color-contrast", "link-in-text-block")) == ("dark", [])


def _violations(page: Page, *rules: str) -> list[str]:
    options: dict[str, Any] = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:120]} {node['failureSummary']}" for one in found for node in one["nodes"]]
