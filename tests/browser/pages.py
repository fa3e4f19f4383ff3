"""The places on the pages that several tests go to, by what people read there."""

from __future__ import annotations

import re
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

HARBOR = "registry/harbor.example.com"
GITLAB = "registry/gitlab.example.com:4567"


def namespace_url(namespace: str) -> str:
    return f"/n/demo/{namespace}/"


def cell_url(namespace: str, credential: str) -> str:
    return f"{namespace_url(namespace)}cells/{quote(credential, safe='/')}/"


def create_url(namespace: str, credential: str) -> str:
    return f"{namespace_url(namespace)}create/{quote(credential, safe='/')}/"


def matrix_cell(page: Page, namespace: str, credential: str) -> Locator:
    """The link of a cell in the matrix."""
    # The colon of a port may be escaped in a path, and need not be.
    url = cell_url(namespace, credential)
    return page.locator(f'.matrix a:is([href$="{url}"], [href$="{url.replace("%3A", ":")}"])')


def drawer(page: Page) -> Locator:
    """The open drawer."""
    return page.get_by_role("dialog")


def open_drawer(page: Page, namespace: str, credential: str) -> Locator:
    """Click the cell and wait for what its drawer says."""
    matrix_cell(page, namespace, credential).click()
    found = drawer(page)
    expect(found.locator(".verdict")).to_be_visible()
    return found


def step(where: Locator, name: str) -> Locator:
    """One step of the chain: image, Pod, pull Secrets, Secret, key, registry."""
    named = where.page.locator(".step", has_text=re.compile(rf"^{name},"))
    return where.locator(".chain li", has=named)
