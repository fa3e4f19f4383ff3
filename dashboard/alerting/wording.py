"""What a message says. Pure; the text is plain, so that each service gets it escaped in its own way.

A message stays short enough for services that cut (a thousand characters or two), so names are counted, not listed,
after the first twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from dashboard.alerting.damping import News
from dashboard.alerting.grouping import Entry, Group
from scanner.check import Status, rank

#: As `scanner.models.NO_CELL`, which the core may not import: nothing needs the credential.
NO_CELL: Final = ""
MOST_NAMES: Final = 20
LONGEST_LIST: Final = 1_000  # characters of names
LONGEST_TITLE: Final = 240
LONGEST_BODY: Final = 8_000  # a digest of a night; other messages are far below
MOST_SECTIONS: Final = 12

#: How a reason goes on after "registry/quay.io:". Others are said as they are, with blanks for hyphens.
_SAID: Final[Mapping[str, str]] = {
    "expiring": "expires soon",
    "elsewhere": "exists only elsewhere",
    "latent": "works only from cached images",
    "literal": "written out in Pods",
    "failing": "Pods fail",
}

_ADVICE: Final[Mapping[str, str]] = {
    "missing": "Create the Secret where it is missing; the page of each cell has everything known filled in.",
    "rejected": "User name or password are wrong or revoked: issue a new one and replace the Secret everywhere.",
    "denied": "The credential is known but may not do this: give it the right to pull from that repository.",
    "malformed": "The Secret cannot be read: create it anew.",
    "wrong-host": "The Secret is for another host than the images: add an entry for the host that they name.",
    "expired": "It has ended: issue a new one and replace the Secret everywhere.",
    "expiring": "Issue a new one and replace the Secret before the old one ends.",
    "unlinked": "The Secret is there but nothing refers to it: link it to the ServiceAccount of the Pods.",
    "failing": "Look at the messages of the failing Pods; the page of each cell lists them.",
    "not-checked": "Credboard may not read what it needs to tell: the page says which right is missing.",
    "too-many": "The Namespace has more than is shown: delete the Secrets that nothing needs.",
    "unreachable": "The registry could not be asked: check its address, the network and its certificate.",
    "latent": "Create the pull Secret before a Pod starts on a node that does not have the image.",
}
_OTHER_ADVICE: Final = "The page of each cell says what is wrong and how to repair it."
_FLAPPING_ADVICE: Final = "Nothing more is told of these until they have not changed for an hour."

#: (cluster's pk, credential, reason or "", the pk of the only Namespace or None) -> address of a page, "" for none
Link = Callable[[int, str, str, int | None], str]
#: (cluster's pk, credential, the Namespace's pk) -> address of the form that acknowledges the cell, "" for none
AcknowledgeLink = Callable[[int, str, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent. `severity` is the status that it is about; "ok" for a recovery."""

    title: str
    body: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How things are called: `namespaces` and `clusters` by pk; `zone` is that of the reader."""

    namespaces: Mapping[int, str]
    clusters: Mapping[int, str]
    zone: tzinfo
    link: Link
    acknowledge: AcknowledgeLink


def plain(text: str, longest: int = 200) -> str:
    """A name as it may stand in any message: on one line, and without what a service could read as a mention, a link or
    a format. Names of Kubernetes pass unchanged; hosts in a Secret may be anything."""
    told = text.replace("@", " at ")
    shown = "".join(one if one.isalnum() or one in " ._:/-" else "_" for one in told[:longest])
    return shown if len(told) <= longest else f"{shown[: longest - 1]}…"


def compose(group: Group, entries: Sequence[Entry], *, names: Names, remaining: int = 0) -> Message:
    """The message about `group`. `remaining`: how many cells of that credential the route still knows to be in trouble
    (only said of recoveries)."""
    title, body = _title(group, entries, names, remaining), _body(group, entries, names)
    return Message(title=title[:LONGEST_TITLE], body=body[:LONGEST_BODY], severity=severity(group, entries))


def compose_digest(parts: Sequence[tuple[Group, Sequence[Entry], int]], *, names: Names, title: str = "") -> Message:
    """One message for all of `parts` (which are as `compose` takes them), worst first. Without a `title` it is for what
    happened in quiet hours."""
    ordered = sorted(parts, key=lambda part: (-rank(severity(part[0], part[1])), part[0].credential, part[0].news))
    if len(ordered) == 1:
        group, entries, remaining = ordered[0]
        return compose(group, entries, names=names, remaining=remaining)
    sections = [
        f"{_title(group, entries, names, remaining)}\n{_body(group, entries, names, short=True)}"
        for group, entries, remaining in ordered[:MOST_SECTIONS]
    ]
    if more := len(ordered) - len(sections):
        sections.append(f"And {more} more changes: see Credboard.")
    return Message(
        title=title or f"While it was quiet: {len(ordered)} changes",
        body="\n\n".join(sections)[:LONGEST_BODY],
        severity=severity(ordered[0][0], ordered[0][1]),
    )


def severity(group: Group, entries: Iterable[Entry]) -> str:
    """The status of a message about `group`: ok for recoveries, and the worst of its cells for flapping ones."""
    match group.news:
        case News.RECOVERY:
            return Status.OK
        case News.TROUBLE:
            return group.status
    found = [entry.change.status for entry in entries if entry.change.status != NO_CELL]
    return max(found, key=rank, default=Status.OK)


def _title(group: Group, entries: Sequence[Entry], names: Names, remaining: int) -> str:
    credential, where = plain(group.credential), _places(entries, names)
    match group.news:
        case News.RECOVERY:
            said = f"recovered in {where}"
            if remaining:
                said += f"; still in trouble in {remaining}"
        case News.FLAPPING:
            said = f"flapping in {where}"
        case News.TROUBLE:
            said = f"{_SAID.get(group.reason, group.reason.replace('-', ' '))} in {where}"
    if group.news is not News.RECOVERY and entries and all(entry.over_at for entry in entries):
        said += ", over by now"
    return f"{credential}: {said}"


def _places(entries: Sequence[Entry], names: Names) -> str:
    found = _namespaces(entries)
    return plain(names.namespaces[found[0]]) if len(found) == 1 else f"{len(found)} Namespaces"


def _namespaces(entries: Iterable[Entry]) -> list[int]:
    return list(dict.fromkeys(entry.change.namespace for entry in entries))


def _body(group: Group, entries: Sequence[Entry], names: Names, *, short: bool = False) -> str:
    lines = [_since(group, entries, names)]
    lines += _lists(group, entries, names)
    if not short and (advice := _advice(group, entries)):
        lines += ["", f"What to do: {advice}"]
    pks = _namespaces(entries)
    reason = group.reason if group.news is News.TROUBLE else ""
    if link := names.link(group.cluster, group.credential, reason, pks[0] if len(pks) == 1 else None):
        lines.append(link)
    is_one_to_see_to = not short and len(pks) == 1 and _is_in_trouble(group, entries)
    if is_one_to_see_to and (link := names.acknowledge(group.cluster, group.credential, pks[0])):
        lines.append(f"Acknowledge: {link}")
    return "\n".join(lines)


def _is_in_trouble(group: Group, entries: Sequence[Entry]) -> bool:
    """Whether there still is something to acknowledge, as far as the message knows: a well cell cannot be."""
    last = entries[-1].change.status
    return group.news is not News.RECOVERY and entries[-1].over_at is None and last not in (NO_CELL, Status.OK)


def _since(group: Group, entries: Sequence[Entry], names: Names) -> str:
    first = min(entry.change.at for entry in entries)
    at = first.astimezone(names.zone)
    what = {News.RECOVERY: "Well", News.FLAPPING: "Changing again and again", News.TROUBLE: group.status.capitalize()}
    where = plain(names.clusters[group.cluster])
    return f"{what[group.news]} since {at:%H:%M %Z} on {at.day} {at:%B %Y}, cluster {where}."


def _lists(group: Group, entries: Sequence[Entry], names: Names) -> list[str]:
    """The Namespaces, apart by what is to be known of them."""
    parts: dict[str, list[int]] = {}
    for entry in entries:
        parts.setdefault(_remark(group, entry), []).append(entry.change.namespace)
    lines = []
    for remark, found in sorted(parts.items()):
        listed = _listed([names.namespaces[pk] for pk in dict.fromkeys(found)])
        lines.append(f"{remark}: {listed}" if remark else f"In {listed}")
    return lines


def _remark(group: Group, entry: Entry) -> str:
    change = entry.change
    if entry.over_at is not None:
        return "Well again by now" if entry.is_well else "Changed again by now"
    if group.news is News.RECOVERY and change.status == NO_CELL:
        return "Nothing needs it any more"
    if group.news is News.RECOVERY and change.status != Status.OK:
        return f"Only {change.status} now ({change.reason.replace('-', ' ')})"
    return ""


def _listed(found: Sequence[str]) -> str:
    """ "a, b and 180 more": as many names as fit."""
    shown: list[str] = []
    length = 0
    for name in sorted(found)[:MOST_NAMES]:
        text = plain(name)
        length += len(text) + 2
        if length > LONGEST_LIST:
            break
        shown.append(text)
    more = len(found) - len(shown)
    return f"{', '.join(shown)} and {more} more" if more else ", ".join(shown)


def _advice(group: Group, entries: Sequence[Entry]) -> str:
    if group.news is News.RECOVERY or all(entry.over_at for entry in entries):
        return ""
    return _FLAPPING_ADVICE if group.news is News.FLAPPING else _ADVICE.get(group.reason, _OTHER_ADVICE)
