"""What one kind of text means, and the two helpers with which the tables of rules are written.

Every pattern is matched against *prepared* text (see ``scanner.pull_failure.text``): lower case, image names replaced
by ``<image>``, digests by ``<digest>`` and URLs by ``<manifest-url>``, ``<blob-url>``, ``<token-url>``, ``<ping-url>``
or ``<url>``; so a repository called ``unauthorized`` or a digest with ``429`` in it decides nothing.
Gaps inside a pattern are bounded, which keeps the time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from scanner.pull_failure.cause import Cause


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of text: what it means, what else it can mean, and whether it proves that a credential was sent."""

    cause: Cause
    pattern: re.Pattern[str]
    alternatives: tuple[Cause, ...] = ()
    credentials_used: bool | None = None


def rule(cause: Cause, *patterns: str, also: tuple[Cause, ...] = (), used: bool | None = None) -> Rule:
    """Return a rule that any of ``patterns`` fires."""
    return Rule(cause, re.compile("|".join(patterns)), also, used)


def status(numbers: str) -> str:
    """Return the pattern of an HTTP status as the runtimes print it: after a colon, "status" or "registry".

    Never a port or a part of a version. HTTP/2 sends no status text, so only the number is asked for.
    """
    before = r"(?:: |:\n|status:? |(?<!http )code:? |code=|\bhttp |registry |(?<!api )\berror |http/[12](?:\.\d)? )"
    return rf"{before}\(?(?:{numbers})(?![\w.:/-]*\w)"


def first(rules: Iterable[Rule], text: str) -> Rule | None:
    """Return the first rule that ``text`` fires: the order of a table is part of its meaning."""
    return next((rule for rule in rules if rule.pattern.search(text)), None)
