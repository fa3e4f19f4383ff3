"""What a page shows where nobody can read it, as the browser has laid it out."""

from __future__ import annotations

from playwright.sync_api import Page


def misplaced(page: Page) -> list[str]:
    """What is outside the window at its present width, and what is cut off: the start of each element."""
    return [*page.evaluate(_OUTSIDE), *page.evaluate(_CUT)]


#: Visible elements that begin or end outside the window and that no frame of their own lets people scroll to.
_OUTSIDE = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element && (element.matches(".matrix-frame, .nav, .sr-only, .skip, [hidden]")
    || scrolls(element.parentElement));
  const told = [];
  const whole = document.documentElement.scrollWidth;
  if (whole > width) told.push(`the page is ${whole} wide`);
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || scrolls(element)) continue;
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > width + 1 || box.left < -1)) told.push(element.outerHTML.slice(0, 80));
  }
  return told;
}"""


#: Pairs of a term and its explanation, of labels and fields, whose text is painted over one another or cut off.
_CUT = """() => {
  const told = [];
  const kinds = "dt, dd, label, h1, h2, button, a.button, summary, .tally, .step, .tag";
  for (const element of document.querySelectorAll(kinds)) {
    if (!element.checkVisibility() || element.closest(".sr-only")) continue;
    const style = getComputedStyle(element);
    const isMeant = style.textOverflow === "ellipsis" || style.display === "inline";
    if (element.scrollWidth > element.clientWidth + 1 && !isMeant)
      told.push(`${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 60)}"`);
  }
  return told;
}"""
