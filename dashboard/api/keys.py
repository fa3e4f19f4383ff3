"""Who is asking: a program with a key, or a person in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from ninja.security import APIKeyCookie, HttpBearer

from dashboard.api import throttling
from dashboard.api.problems import FORBIDDEN, NO_KEY, NOT_FOUND, READ_ONLY, TOO_MANY, Problem
from dashboard.identity import as_of_now, client_address, is_operator
from dashboard.models import KEY_MARK, ApiKey
from scanner.models import Cluster, ClusterQuerySet, Freshness, Namespace, NamespaceQuerySet, Scan


@dataclass(frozen=True)
class Caller:
    """A person, or a program in that person's name, at one moment. Everything that the API shows comes from `clusters`
    and `namespaces`: what the person may see now, within the limits of the key."""

    user: Any
    key: ApiKey | None = None

    @property
    def is_operator(self) -> bool:
        return is_operator(self.user)

    @property
    def sees_everything(self) -> bool:
        return self.is_operator and (self.key is None or self.key.cluster_id is None)

    @cached_property
    def namespaces(self) -> NamespaceQuerySet:
        rows = Namespace.objects.visible_to(self.user)
        if self.key is None or self.key.cluster is None:
            return rows
        rows = rows.of_cluster(self.key.cluster)
        return rows.named([self.key.namespace]) if self.key.namespace else rows

    @cached_property
    def cluster_rows(self) -> ClusterQuerySet:
        rows = Cluster.objects.visible_to(self.user)
        return rows if self.key is None or self.key.cluster_id is None else rows.keyed(self.key.cluster_id)

    def clusters(self, name: str = "") -> list[Cluster]:
        """Those the caller may see, or the one called `name`. Raises Problem when that is not among them."""
        found = [cluster for cluster in self.cluster_rows if name in ("", cluster.name)]
        if name and not found:
            raise Problem(NOT_FOUND, "You can see no cluster of this name.")
        return found

    def freshness(self, cluster: str = "") -> Freshness:
        """What can be believed now of the clusters that `clusters` gives, as one value. Raises as that does."""
        return Freshness(self.clusters(cluster), now=timezone.now())

    def namespace(self, cluster: str, name: str) -> Namespace:
        """Raises Problem for one that is not there or not for this caller: both are answered alike."""
        found = self.namespaces.in_cluster(cluster, name)
        if found is None:
            raise Problem(NOT_FOUND, "You can see no Namespace of this name.")
        return found

    def sees_all_of(self, scan: Scan) -> bool:
        """Whether nothing that `scan` tells is about Namespaces of others."""
        return bool(scan.namespace) or (self.is_operator and not (self.key and self.key.namespace))

    def require_write(self) -> None:
        """Raises Problem for a key that may only read."""
        if self.key is not None and not self.key.may_write:
            raise Problem(READ_ONLY)

    def require_operator(self) -> None:
        """Raises Problem for everyone but operators, and for keys that are good for one Namespace only."""
        if not self.is_operator:
            raise Problem(FORBIDDEN, "Only operators may do this.")
        if self.key is not None and self.key.namespace:
            raise Problem(FORBIDDEN, "This key is good for one Namespace only.")


def caller_of(request: HttpRequest) -> Caller:
    """Who was let in."""
    found: Caller = request.auth  # type: ignore[attr-defined]
    return found


def _admit(request: HttpRequest, caller: Caller) -> Caller:
    """Count the call. Raises Problem when it is one too many."""
    # For all keys of a person together: making keys costs nothing.
    allowance = throttling.spend(str(caller.user.pk))
    request.allowance = allowance  # type: ignore[attr-defined]
    if allowance.is_spent:
        words = f"More than {allowance.limit} calls in a minute."
        raise Problem(TOO_MANY, words, headers={"Retry-After": str(allowance.reset)})
    return caller


class KeyAuth(HttpBearer):
    """`Authorization: Bearer cbk_…`"""

    @sensitive_variables()
    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Raises Problem for a key that is no good, however it came to be so: that is nobody else's business."""
        now = timezone.now()
        key = ApiKey.objects.holding(token, now=now) if token.startswith(KEY_MARK) else None
        if key is None:
            allowance = throttling.spend_failure(client_address(request))
            if allowance.is_spent:
                wait = {"Retry-After": str(allowance.reset)}
                raise Problem(TOO_MANY, "Too many calls with a key that is no good.", headers=wait)
            raise Problem(NO_KEY, "This key is unknown, expired or revoked.")
        ApiKey.objects.note_use(key, now=now)
        return _admit(request, Caller(as_of_now(key.user), key))


class BrowserAuth(APIKeyCookie):
    """The session of a browser, or the header of a trusted proxy. Writing asks for the CSRF token as well."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Caller | None:
        # Before the CSRF token is asked for: somebody unknown is told that first.
        if not request.user.is_authenticated:
            return None
        found: Caller | None = super().__call__(request)
        return found

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller:
        return _admit(request, Caller(request.user))
