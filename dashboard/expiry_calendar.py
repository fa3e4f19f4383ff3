"""When credentials end, as a calendar that other programs subscribe to (iCalendar, RFC 5545)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from icalendar import Calendar, Event

from dashboard.matrix import kind_of
from scanner.columns import label_of
from scanner.models import Cell, Cluster, Freshness, Namespace

#: How far back what has ended stays in the calendar.
PAST: Final = timedelta(days=30)
#: Events of one calendar at the most: the soonest. A calendar program reads all of it each time.
MOST_EVENTS: Final = 2_000
MOST_NAMES: Final = 20
#: How often a program should ask again.
REFRESH: Final = timedelta(hours=1)


@dataclass(slots=True)
class Ending:
    """A credential that ends at one moment in one or more Namespaces of a cluster: one event. `seen_at` is when the
    newest of them was seen, `unseen` how many were not seen lately."""

    cluster: str
    credential: str
    expires_at: datetime
    namespaces: list[str] = field(default_factory=list)
    seen_at: datetime | None = None
    unseen: int = 0

    @property
    def uid(self) -> str:
        """The same for as long as the credential ends then, so that a program updates the event it has."""
        name = "\0".join((self.cluster, self.credential, self.expires_at.isoformat()))
        return f"{hashlib.sha256(name.encode()).hexdigest()[:32]}@credboard"

    @property
    def summary(self) -> str:
        number = len(self.namespaces)
        where = f"in {self.namespaces[0]}" if number == 1 else f"in {number} Namespaces"
        return f"{kind_of(self.credential)} {label_of(self.credential)} ends {where}"

    @property
    def description(self) -> str:
        shown, more = sorted(self.namespaces)[:MOST_NAMES], len(self.namespaces) - MOST_NAMES
        lines = [
            f"Cluster: {self.cluster}",
            f"Credential: {self.credential}",
            f"Namespaces: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}",
        ]
        if self.unseen:
            lines.append(f"{self.unseen} of them not seen lately: this may have changed.")
        return "\n".join(lines)


#: What an event is made of. Tuples, not rows: a large cluster has tens of thousands of cells that end.
COLUMNS: Final = (
    "expires_at", "credential_id", "credential__slug", "namespace__cluster_id", "namespace__name",
    "namespace__scanned_at",
)  # fmt: skip
Row = tuple[datetime, int, str, int, str, datetime | None]


def endings_of(rows: Iterable[Row], fresh: Freshness) -> list[Ending]:
    """One for each credential and moment, soonest first; at most `MOST_EVENTS`. `rows` are `COLUMNS` of cells, sorted
    by their end, of the clusters that `fresh` knows."""
    found: dict[tuple[int, datetime], Ending] = {}
    for expires_at, credential, slug, cluster, namespace, scanned_at in rows:
        ending = found.get((credential, expires_at))
        if ending is None:
            if len(found) >= MOST_EVENTS:
                continue
            ending = found[credential, expires_at] = Ending(fresh.clusters[cluster].name, slug, expires_at)
        ending.namespaces.append(namespace)
        ending.unseen += fresh.is_stale(cluster, scanned_at)
        if scanned_at and (ending.seen_at is None or scanned_at > ending.seen_at):
            ending.seen_at = scanned_at
    return list(found.values())


def build_calendar(endings: Sequence[Ending], *, root: str) -> bytes:
    """The calendar file. `root` is the address of Credboard ("https://credboard.example.com")."""
    calendar = Calendar()
    calendar.add("prodid", "-//Credboard//Expiry//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Credentials that end")
    told = f" The soonest {MOST_EVENTS} are here." if len(endings) >= MOST_EVENTS else ""
    calendar.add("x-wr-caldesc", f"When credentials end, as Credboard knows it.{told}")
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    for ending in endings:
        calendar.add_component(_event(ending, root=root))
    return bytes(calendar.to_ical())


def _event(ending: Ending, *, root: str) -> Event:
    event = Event()
    event.add("uid", ending.uid)
    # When it was seen, not when it was asked for: the same answer for as long as nothing changes.
    event.add("dtstamp", (ending.seen_at or ending.expires_at).astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", ending.expires_at.astimezone(UTC).replace(microsecond=0))
    event.add("summary", ending.summary)
    event.add("description", ending.description)
    event.add("transp", "TRANSPARENT")
    event.add("categories", [kind_of(ending.credential)])
    query = urlencode({"cluster": ending.cluster, "credential": ending.credential})
    event.add("url", f"{root}{reverse('matrix')}?{query}")
    return event


def feed_address(request: HttpRequest, token: str) -> str:
    return request.build_absolute_uri(reverse("calendar", args=[token]))


def calendar_of(request: HttpRequest, user: Any, *, now: datetime) -> HttpResponseBase:
    """What `user` may see of it now, in a constant number of queries."""
    fresh = Freshness(Cluster.objects.visible_to(user), now=now)
    visible = Namespace.objects.visible_to(user).of_clusters(fresh.clusters)
    cells = Cell.objects.within(visible).ending(since=now - PAST).soonest_first()
    rows = cells.values_list(*COLUMNS).iterator()
    body = build_calendar(endings_of(rows, fresh), root=request.build_absolute_uri("/").rstrip("/"))
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="credboard.ics"'
    response["Cache-Control"] = f"private, max-age={int(REFRESH.total_seconds()) // 4}"
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    response["ETag"] = tag
    return get_conditional_response(request, etag=tag, response=response) or response
