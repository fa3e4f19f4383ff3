"""Chromium, against the product as it is shipped: one product for the whole run, contexts of its own for each test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser.product import OPERATOR, USER_HEADER, Product

#: Milliseconds that anything on a page may take. Two busy cores need a tenth of it, where a worker has to scan first.
PATIENCE = 60_000
#: What the page ends itself, because the reader asked for something else meanwhile; htmx logs that as an error.
ENDED_ON_PURPOSE = "htmx:(?:sendAbort|afterRequest)"
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def product(chromium: Browser) -> Iterator[Product]:
    """Started after Chromium, so that a machine without one does not wait for it."""
    with Product() as running:
        yield running


class Visits:
    """Opens pages as somebody, and remembers every complaint of the browser: errors, exceptions, what CSP refused."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self._expected = [ENDED_ON_PURPOSE]
        self.complaints: list[str] = []

    def __call__(self, user: str | None = OPERATOR, *, width: int = 1440, height: int = 900, **options: Any) -> Page:
        """A page in a new context. `user` comes by the header of the mesh; None is nobody yet."""
        headers = {} if user is None else {USER_HEADER: user}
        context = self._browser.new_context(
            base_url=self._url,
            extra_http_headers=headers,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(f"exception: {error.error}"))
        return context.new_page()

    def expects(self, pattern: str) -> None:
        """This test provokes complaints that match the regular expression `pattern`."""
        self._expected.append(pattern)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self._expected)]

    def end(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def visit(chromium: Browser, product: Product) -> Iterator[Visits]:
    """`visit()` is a page of an operator. The test fails if the browser or the product complains about anything."""
    product.new_log()
    visits = Visits(chromium, product.url)
    yield visits
    visits.end()
    assert visits.unexpected() == []
    assert not re.search(r"Traceback|\b(?:ERROR|CRITICAL)\b", log := product.new_log()), log
