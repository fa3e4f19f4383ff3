"""What a mail consists of, as plain values: everything in it is cleaned, bounded and ready to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The sign and the word of each status: neither colour nor an image is needed to tell them apart.
SIGNS: Final = {"critical": "●", "unknown": "?", "warning": "▲", "ok": "✓"}
#: Pixels that the highest bar of a chart has.
CHART_HEIGHT: Final = 56
_ONE_LINE: Final = 36  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing to know. `title` leads to `url`; `facts` are short, `what` is a sentence, `note` a person's words.

    `action` names what `url` is for; `acknowledge_url` is a second, quiet link.
    """

    status: str
    title: str
    url: str
    facts: str = ""
    what: str = ""
    note: str = ""
    action: str = ""
    acknowledge_url: str = ""

    @property
    def sign(self) -> str:
        return SIGNS[self.status]

    @property
    def pieces(self) -> tuple[tuple[str, bool], ...]:
        """The facts one by one, each with whether it is short enough to stay on one line of a phone."""
        return tuple((fact, len(fact) <= _ONE_LINE) for fact in self.facts.split(" · "))

    @property
    def spoken(self) -> str:
        """The facts, where nothing but words can tell the status."""
        return f"{self.status.upper()}: {self.facts}"

    @property
    def remark(self) -> str:
        return f"Note: {self.note}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A list with a heading. `more` tells what was left out; `url` is where that is."""

    title: str
    lines: tuple[Line, ...]
    about: str = ""
    more: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A day. `height` in pixels, None for one without a good scan; `value` is written above where there is room."""

    height: int | None
    value: str
    day: str
    is_last: bool

    @property
    def rest(self) -> int:
        """The pixels above it."""
        return CHART_HEIGHT - (self.height or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Critical Namespaces by day. `words` say all that matters of it."""

    bars: tuple[Bar, ...]
    words: str
    first: str
    last: str
    has_values: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    status: str
    number: int
    words: str

    @property
    def sign(self) -> str:
        return SIGNS[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the mail says of one cluster."""

    name: str
    url: str
    status: str
    sentence: str
    scanned: str
    tallies: tuple[Tally, ...]
    chart: Chart | None
    blocks: tuple[Block, ...]

    @property
    def sign(self) -> str:
        return SIGNS[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A whole mail. `preheader` is what mail programs show beside the subject."""

    subject: str
    preheader: str
    heading: str
    period: str
    reader: str
    parts: tuple[Part, ...]
    more_clusters: int
    home_url: str
    settings_url: str
    unsubscribe_url: str
    frequency: str
    time_zone: str
