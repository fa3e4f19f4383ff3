"""What the pages about alert routes show and do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from dashboard.models import AlertMessage, AlertRoute
from scanner.models import AuditEntry

MOST_MESSAGES: Final = 30


class RouteRow:
    """A route of the list, with how it goes."""

    def __init__(self, route: AlertRoute, *, now: datetime) -> None:
        self.route = route
        self._now = now

    @property
    def hears(self) -> str:
        """When it tells: "critical, expiring, recovered"."""
        words = [*self.route.severities]
        words += ["expires soon"] if self.route.on_expiring else []
        words += ["recovered"] if self.route.on_recovery else []
        return ", ".join(words)

    @property
    def about(self) -> list[str]:
        """Of which cells it tells; nothing for all."""
        route = self.route
        parts = [
            f"cluster {route.cluster.name}" if route.cluster else "",
            f"labels {route.label_selector}" if route.label_selector else "",
            f"owner {route.owner}" if route.owner else "",
            route.credential,
        ]
        return [part for part in parts if part]

    @property
    def quiet(self) -> str:
        route = self.route
        if route.quiet_from is None or route.quiet_until is None:
            return ""
        but = ", but for what is critical" if route.critical_breaks_quiet else ""
        return f"quiet {route.quiet_from:%H:%M} to {route.quiet_until:%H:%M} {route.time_zone}{but}"

    @cached_property
    def quiet_until(self) -> datetime | None:
        return self.route.quiet_until_at(self._now)

    @cached_property
    def waiting(self) -> int:
        return self.route.messages.unsent().count()


class RoutesPage:
    """All routes, and what was told lately."""

    def __init__(self, *, now: datetime) -> None:
        self.rows = [RouteRow(route, now=now) for route in AlertRoute.objects.for_page()]

    @cached_property
    def messages(self) -> Iterable[AlertMessage]:
        return list(AlertMessage.objects.shown()[:MOST_MESSAGES])


def note(route: AlertRoute, action: str, user: Any, *, outcome: str = AuditEntry.Outcome.DONE, **details: Any) -> None:
    """Write down who did what to `route`."""
    AuditEntry.objects.create(
        actor=user.get_username(),
        action=action,
        cluster=route.cluster.name if route.cluster else "",
        namespace="",
        object=route.name,
        outcome=outcome,
        details=details,
    )
