"""What stands around every page: which cluster, how its scans go, and what a person must know before trusting the rest.

Everything is asked for at most once per request, and only if a template asks.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode

import redis
from django.conf import settings
from django.http import Http404, HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from dashboard.identity import is_operator
from scanner.models import Cluster, ClusterAccess, Scan
from scanner.staleness import is_stale

log = logging.getLogger(__name__)

BROKER_TIMEOUT: Final = 0.2  # seconds that a page may wait for the broker
BROKER_REMEMBERED: Final = 5.0  # seconds that its answer is believed


#: Label and URL name of what the top bar leads to.
PAGES: Final = (
    ("Matrix", "matrix"),
    ("Findings", "findings"),
    ("Expiry", "expiry"),
    ("Reports", "reports"),
    ("Audit", "audit"),
    ("Settings", "settings"),
)
#: Those that show one cluster at a time.
PAGES_OF_A_CLUSTER: Final = frozenset({"matrix", "findings", "expiry"})
SETTINGS_PAGES: Final = (("Your report", "report-settings"), ("API keys", "api-keys"), ("Calendar", "calendar-feeds"))
#: Pages that belong to one that is listed, whose tab is theirs too.
PART_OF: Final = dict.fromkeys(("alert-route", "alert-route-add", "alert-route-delete"), "alert-routes") | (
    dict.fromkeys(("cluster-add", "cluster-edit", "cluster-test", "cluster-remove"), "clusters")
    | dict.fromkeys(("report-preview", "report-mail"), "reports")
    | {"findings-acknowledge": "findings", "report-confirm": "report-settings"}
)
OPERATORS_SETTINGS_PAGES: Final = (("Alert routes", "alert-routes"), ("Clusters", "clusters"))


class Broker:
    """Whether the broker answers. A page asks it at most every few seconds, and never waits long."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked_at = float("-inf")
        self._is_up = True

    def is_up(self) -> bool:
        # Whoever comes while another asks gets the last answer.
        if time.monotonic() - self._asked_at >= BROKER_REMEMBERED and self._lock.acquire(blocking=False):
            try:
                self._is_up = self._ask()
                self._asked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._is_up

    def _ask(self) -> bool:
        url: str = settings.REDIS_URL
        try:
            with redis.Redis.from_url(
                url, socket_connect_timeout=BROKER_TIMEOUT, socket_timeout=BROKER_TIMEOUT, retry=None
            ) as connection:
                return bool(connection.ping())
        except (redis.RedisError, OSError, ValueError) as error:
            log.debug("The broker does not answer (%s)", type(error).__name__)
            return False


broker: Final = Broker()


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    label: str
    url: str
    current: bool


class Shell:
    """The frame of one page. `cluster` is the one in the URL, else the first the person may see, if any."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.now = timezone.now()

    @cached_property
    def clusters(self) -> list[Cluster]:
        user = getattr(self._request, "user", None)
        return list(Cluster.objects.visible_to(user)) if user is not None and user.is_authenticated else []

    @cached_property
    def cluster(self) -> Cluster | None:
        """Raises nothing: an error page has a shell as well. `require_cluster` is for views."""
        wanted = self._wanted
        found = [cluster for cluster in self.clusters if cluster.name == wanted] if wanted else self.clusters
        return found[0] if found else None

    def require_cluster(self) -> Cluster | None:
        """The cluster; None when the person can see none at all. Raises Http404 when the URL names another."""
        if self.cluster is None and self._wanted:
            raise Http404("No such cluster")
        return self.cluster

    @property
    def _wanted(self) -> str:
        match = self._request.resolver_match
        from_path = match.kwargs.get("cluster", "") if match else ""
        return str(from_path or self._request.GET.get("cluster", ""))

    @property
    def on_matrix(self) -> bool:
        match = self._request.resolver_match
        return match is not None and match.url_name == "matrix"

    @property
    def ending_access(self) -> list[ClusterAccess]:
        """The kubeconfigs of scanned clusters whose token or certificate ends soon, or did."""
        found = [getattr(one, "access", None) for one in self.clusters if one.next_scan_at is not None]
        return [one for one in found if one is not None and one.ends_soon(self.now)]

    @cached_property
    def nav(self) -> list[NavItem]:
        return self._items(PAGES, keeps_cluster=len(self.clusters) > 1)

    @cached_property
    def settings_nav(self) -> list[NavItem]:
        """The pages of settings that this person may use."""
        user = getattr(self._request, "user", None)
        return self._items(SETTINGS_PAGES + (OPERATORS_SETTINGS_PAGES if is_operator(user) else ()))

    def _items(self, pages: tuple[tuple[str, str], ...], *, keeps_cluster: bool = False) -> list[NavItem]:
        match = self._request.resolver_match
        here = match.url_name if match else None
        here = PART_OF.get(here or "", here)
        if here in {name for _, name in SETTINGS_PAGES + OPERATORS_SETTINGS_PAGES} and pages is PAGES:
            here = "settings"
        items = []
        for label, name in pages:
            try:
                url = reverse(name)
            except NoReverseMatch:
                continue
            if keeps_cluster and self.cluster and name in PAGES_OF_A_CLUSTER:
                url = f"{url}?{urlencode({'cluster': self.cluster.name})}"
            items.append(NavItem(label=label, url=url, current=here == name))
        return items

    @cached_property
    def _scans(self) -> list[Scan]:
        return Scan.objects.newest_and_last_good(self.cluster) if self.cluster else []

    @property
    def newest_scan(self) -> Scan | None:
        return self._scans[0] if self._scans else None

    @property
    def last_good_scan(self) -> Scan | None:
        good = [scan for scan in self._scans if scan.state == Scan.State.DONE]
        return good[0] if good else None

    @property
    def running_scan(self) -> Scan | None:
        """A scan that goes on and is not yet given up."""
        scan = self.newest_scan
        return scan if scan and scan.state == Scan.State.RUNNING else None

    @property
    def failed_scan(self) -> Scan | None:
        scan = self.newest_scan
        return scan if scan and scan.state == Scan.State.FAILED else None

    @property
    def incomplete_scan(self) -> Scan | None:
        """The last good scan, if some of its Namespaces could not be scanned."""
        scan = self.last_good_scan
        return scan if scan and scan.failed_namespaces else None

    @property
    def scanned_at(self) -> datetime | None:
        return self.last_good_scan.started_at if self.last_good_scan else None

    @property
    def is_stale(self) -> bool:
        """True when there was a good scan and it is too old to be believed."""
        if self.cluster is None or self.scanned_at is None:
            return False
        return is_stale(self.scanned_at, now=self.now, after=self.cluster.stale_after)

    @property
    def is_scan_due(self) -> bool:
        return (
            self.cluster is not None and self.cluster.next_scan_at is not None and self.cluster.next_scan_at <= self.now
        )

    @cached_property
    def broker_is_up(self) -> bool:
        return broker.is_up()

    @property
    def state(self) -> tuple[object, ...]:
        """All that the frame says about scans, for a page to tell whether anything changed."""
        scans = [(scan.pk, scan.state, scan.namespaces_done, scan.namespaces_total) for scan in self._scans]
        return (*scans, self.is_stale, self.is_scan_due, self.broker_is_up)

    @property
    def refresh_seconds(self) -> int:
        """How long the page may wait before it looks again."""
        return 2 if self.running_scan or self.is_scan_due else 10


def shell_of(request: HttpRequest) -> Shell:
    """The one shell of this request."""
    found: Shell | None = getattr(request, "_credboard_shell", None)
    if found is None:
        found = Shell(request)
        request._credboard_shell = found  # type: ignore[attr-defined]
    return found


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    return {"shell": shell_of(request)}
