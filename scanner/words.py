"""Names, numbers and dates in sentences for people, bounded and on one line whatever a cluster object holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

#: Longest text of a cluster object inside a sentence.
LONGEST: Final = 200
_USER_INFO: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,20}://)[^\s/@\"']{1,4096}@", re.IGNORECASE)
_SECRET_PARAMETER: Final = re.compile(
    r"(?P<name>[?&;]|%26|\\u0026)(?P<key>[a-z0-9_.-]{0,40}(?:token|password|passwd|secret|signature|sig|credential|key|code|auth)"
    r"[a-z0-9_.-]{0,40})=[^\s&\"'<>\\]{1,16384}",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(
    r"\b([Bb]earer|[Bb]asic)(?P<gap>:? +)(?=[a-z+/_.~-]{0,200}[A-Z0-9=])[A-Za-z0-9+/_.=~-]{12,16384}"
)


def shown(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, without control characters, cut to `longest` characters."""
    if len(text) <= longest and text.isprintable():
        return text
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text[:longest])
    return clean if len(text) <= longest else f"{clean[:-1]}…"


def listed(names: Iterable[str], *, at_most: int = 3) -> str:
    """ "a", "a and b", "a, b and c", "a, b, c and 4 more"."""
    all_names = list(names)
    parts = [shown(name) for name in all_names[:at_most]]
    if (more := len(all_names) - len(parts)) > 0:
        parts.append(f"{more} more")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def of_kind(kind: str, names: Collection[str]) -> str:
    """ "Pod a", "Pods a and b", "14 Pods"."""
    if len(names) == 1:
        return f"{kind} {listed(names)}"
    return f"{kind}s {listed(names)}" if len(names) == 2 else f"{len(names)} {kind}s"


def verb(names: Collection[object], one: str, many: str) -> str:
    """The verb form that goes with so many things."""
    return one if len(names) == 1 else many


def days(when: datetime, *, now: datetime) -> str:
    """ "today", "in 3 days", "1 day ago": whole days between two aware times."""
    count = abs(int((when - now).total_seconds())) // 86_400
    if count == 0:
        return "in less than a day" if when > now else "less than a day ago"
    unit = "1 day" if count == 1 else f"{count} days"
    return f"in {unit}" if when > now else f"{unit} ago"


def without_secrets(message: str, longest: int = 2000) -> str:
    """A runtime's message cut to `longest` characters, without user names and tokens inside its URLs."""
    text = message[: longest * 4]
    text = _USER_INFO.sub(r"\g<scheme>***@", text)
    text = _SECRET_PARAMETER.sub(r"\g<name>\g<key>=***", text)
    text = _BEARER.sub(r"\1\g<gap>***", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
