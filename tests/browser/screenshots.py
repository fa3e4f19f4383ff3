"""`make screenshots`: the pictures of docs/images, and one of every page and state in screenshots/ to look at.

Of the product as it is shipped, with the demo cluster's example data.
"""

# ruff: noqa: T201 (this is a command: printing is its work)

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.pages import GITLAB, HARBOR, cell_url, create_url, drawer, namespace_url, open_drawer
from tests.browser.png import compressed
from tests.browser.product import OPERATOR, ROOT, USER_HEADER, Product

DOCS = ROOT / "docs" / "images"
CONTACT = ROOT / "screenshots"
STORY = ("kubeflow-user-example-com", GITLAB)
LARGEST = 200_000  # bytes of a picture in the documentation

#: A desktop's system font is Inter or looks like it; a server without a desktop has none.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern">
    <test name="family" qual="any"><string>system-ui</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>
  <match target="pattern">
    <test name="family" qual="any"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>
</fontconfig>
"""


def _matrix(page: Page) -> None:
    page.goto("/")
    expect(page.locator("table.matrix")).to_be_visible()


def _drawer(page: Page) -> None:
    _matrix(page)
    open_drawer(page, *STORY)


def _form(page: Page) -> None:
    _drawer(page)
    drawer(page).get_by_role("link", name="Create it here").click()
    expect(drawer(page).get_by_label("Name of the Secret")).to_be_visible()


def _form_end(page: Page) -> None:
    _form(page)
    page.locator("#create-code summary").click()
    page.locator("#drawer").evaluate("drawer => drawer.scrollTo(0, drawer.scrollHeight)")


def _drawer_end(page: Page) -> None:
    _drawer(page)
    page.locator("#drawer").evaluate("drawer => drawer.scrollTo(0, drawer.scrollHeight)")


def _refused(page: Page) -> None:
    page.goto(create_url(*STORY))
    page.get_by_label("Name of the Secret").fill("Not A Name")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#create-refused")).to_be_visible()


def _at(path: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(path)

    return go


PLACES: dict[str, Callable[[Page], None]] = {
    "matrix": _matrix,
    "matrix-filtered": _at("/?status=warning"),
    "matrix-nothing": _at("/?q=nothing-is-called-so"),
    "drawer": _drawer,
    "drawer-end": _drawer_end,
    "create": _form,
    "create-end": _form_end,
    "create-refused": _refused,
    "cell": _at(cell_url("team-vision", HARBOR)),
    "cell-certificate": _at(cell_url("team-genomics", HARBOR)),
    "cell-secrets": _at(cell_url("batch-scoring", "secrets")),
    "cell-well": _at(cell_url("team-search", HARBOR)),
    "namespace": _at(namespace_url(STORY[0])),
    "namespace-unreadable": _at(namespace_url("restricted")),
    "findings": _at("/findings/"),
    "expiry": _at("/expiry/"),
    "expiry-calendar": _at("/expiry/?view=calendar"),
    "mail": _at("/reports/preview/html/"),
    "reports": _at("/reports/"),
    "report-settings": _at("/settings/report/"),
    "link-not-valid": _at("/settings/report/confirm/wrong/"),
    "alerts": _at("/settings/alerts/"),
    "alert-route": _at("/settings/alerts/add/"),
    "clusters": _at("/settings/clusters/"),
    "cluster-add": _at("/settings/clusters/add/"),
    "cluster-edit": _at("/settings/clusters/1/"),
    "cluster-remove": _at("/settings/clusters/1/remove/"),
    "api-keys": _at("/settings/api-keys/"),
    "api-reference": _at("/api/v1/docs"),
    "calendar-feeds": _at("/settings/calendar/"),
    "audit": _at("/audit/"),
    "error": _at("/nothing/here/"),
}
DOCUMENTED = [
    ("matrix", "matrix", "light", 1440, 900),
    ("matrix-dark", "matrix", "dark", 1440, 900),
    ("drawer", "drawer", "light", 1440, 900),
    ("create", "create", "light", 1440, 1000),
    ("findings", "findings", "light", 1280, 800),
    ("expiry", "expiry", "light", 1280, 800),
    ("mail", "mail", "light", 700, 1000),
    ("narrow", "matrix", "light", 390, 844),
]
#: Pictures of the drawer alone: what is beside it is in others.
DRAWERS = frozenset({"drawer", "create"})


def main() -> None:
    """Take them all. Raises SystemExit where a picture of the documentation is too large."""
    DOCS.mkdir(parents=True, exist_ok=True)
    CONTACT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Product() as product, sync_playwright() as playwright:
        fonts = Path(folder) / "fonts.conf"
        fonts.write_text(_FONTS, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CREDBOARD_CHROMIUM") or "/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        )

        def visit(user: str | None, scheme: str, width: int, height: int) -> Page:
            context = browser.new_context(
                base_url=product.url,
                extra_http_headers={} if user is None else {USER_HEADER: user},
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",
                locale="en-GB",
                timezone_id="UTC",
            )
            return context.new_page()

        for name, place, scheme, width, height in DOCUMENTED:
            page = visit(OPERATOR, scheme, width, height)
            PLACES[place](page)
            _write(DOCS / f"{name}.png", drawer(page).screenshot() if name in DRAWERS else page.screenshot())
            page.context.close()
        for scheme in ("light", "dark"):
            for width, height in ((1440, 900), (390, 844)):
                page = visit(OPERATOR, scheme, width, height)
                for name, go in PLACES.items():
                    go(page)
                    is_long = name.startswith(
                        ("namespace", "cell", "create-refused", "findings", "mail", "alert", "report", "cluster")
                    )
                    page.screenshot(path=CONTACT / f"{name}-{width}-{scheme}.png", full_page=is_long)
                page.context.close()
                for name, user, path in (
                    ("owner", "user@example.com", "/"),
                    ("stranger", "stranger@example.com", "/"),
                    ("sign-in", None, "/sign-in/"),
                ):
                    page = visit(user, scheme, width, height)
                    page.goto(path)
                    page.screenshot(path=CONTACT / f"{name}-{width}-{scheme}.png")
                    page.context.close()
        browser.close()
    print(f"{len(DOCUMENTED)} pictures in {DOCS}, {len(list(CONTACT.glob('*.png')))} in {CONTACT}")


def _write(path: Path, png: bytes) -> None:
    smaller = compressed(png)
    if len(smaller) > LARGEST:
        raise SystemExit(f"{path.name} has {len(smaller)} bytes, more than {LARGEST}")
    path.write_bytes(smaller)


if __name__ == "__main__":
    main()
