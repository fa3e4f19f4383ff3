"""Who is it, what may they see, and what may they do.

Two ways to be someone: a local user who signed in with a password, or the name in a header that a trusted proxy sets.
The header is believed only from a peer in `settings.TRUSTED_PROXIES` (the address of the TCP connection, never
X-Forwarded-For) and for one request only: no session is made from it, so nothing outlives the header.

A header never becomes a local user: a row with a usable password, or a superuser, is refused to it. Rows made from
headers have no usable password, so they cannot be signed in to at the form either. The two kinds cannot meet.

Two roles: an operator (`is_staff`) sees and does everything; others see the Namespaces that name them, or one of
their groups, as an owner, and may write there what Kubernetes lets them write when it is asked.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from dashboard.env import Network
from scanner.cluster import Person
from scanner.cluster.errors import Ask, grant_commands
from scanner.models import Namespace, groups_of
from scanner.provision import Decision

#: Longest user or group name that `auth.User` and `auth.Group` hold.
LONGEST_NAME: Final = 150
MOST_GROUPS: Final = 200

#: Names that only Kubernetes itself gives; an access review for one of them would answer for the control plane.
RESERVED: Final = "system:"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
P = ParamSpec("P")
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class BadHeader(Exception):
    """A trusted proxy sent an identity header that cannot be believed. The text says why, without the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a trusted proxy says about the person. `groups` None: it was not asked for any."""

    name: str
    groups: frozenset[str] | None


class TrustedHeaderMiddleware:
    """Makes `request.user` the person that a trusted proxy names, and says so in `request.user_is_from_header`. Stands
    after AuthenticationMiddleware."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            claim = claimed(request)
            if claim is not None:
                request.user = user_of(claim)
                request.user_is_from_header = True  # type: ignore[attr-defined]
        except BadHeader as error:
            return _refusal(str(error))
        return self.get_response(request)


def _refusal(words: str) -> HttpResponse:
    # Plain text: the shell of a page needs to know who is asking, which is just what failed.
    response = HttpResponse(f"{words}\n", status=400, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


def is_trusted_peer(address: str) -> bool:
    """True when `address` (REMOTE_ADDR) is in `settings.TRUSTED_PROXIES`; "" (a Unix socket) never is."""
    return _is_in(_address(address), settings.TRUSTED_PROXIES)


def client_address(request: HttpRequest) -> str:
    """Where `request` comes from, for limits of what one address may try; an IPv6 network stands for all its addresses.

    X-Forwarded-For counts only from a proxy of ours (`settings.TRUSTED_PROXIES`, `settings.FORWARDED_BY`). Each proxy
    adds the peer that it saw at the right end, so the first entry from there that is none of ours is the client;
    whatever stands left of it may be made up.
    """
    proxies = (*settings.TRUSTED_PROXIES, *settings.FORWARDED_BY)
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while entries and _is_in(peer, proxies) and (before := _address(entries.pop())):
        peer = before
    if isinstance(peer, ipaddress.IPv6Address):
        # One client has a whole network of this size, and can try from each address of it.
        return str(ipaddress.IPv6Network((int(peer), 64), strict=False))
    return str(peer or "")


def _address(text: str) -> Address | None:
    """The address in `text`, perhaps with a port as some proxies add it; None when it holds no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_in(peer: Address | None, networks: Iterable[Network]) -> bool:
    return peer is not None and any(peer.version == one.version and peer in one for one in networks)


def claimed(request: HttpRequest) -> Claim | None:
    """The identity that a trusted proxy gives this request; None without a header or from anyone else.

    Raises BadHeader for an empty, repeated, overlong or unprintable one.
    """
    value = _header(request, settings.USER_HEADER)
    if value is None or not is_trusted_peer(request.META.get("REMOTE_ADDR", "")):
        return None
    if "," in value:
        # A server joins repeated headers with commas (RFC 9110, section 5.3), and no user name holds one.
        raise BadHeader(f"The header {settings.USER_HEADER} was sent twice. Let the proxy replace it, not add to it.")
    prefix: str = settings.USER_PREFIX
    if not value.startswith(prefix):
        raise BadHeader(f"The header {settings.USER_HEADER} does not begin with CREDBOARD_USER_PREFIX.")
    name = _checked(value.removeprefix(prefix), settings.USER_HEADER)
    return Claim(name=name, groups=_claimed_groups(request))


def _claimed_groups(request: HttpRequest) -> frozenset[str] | None:
    if not settings.GROUPS_HEADER:
        return None
    words = (word.strip() for word in (_header(request, settings.GROUPS_HEADER) or "").split(","))
    groups = frozenset(_checked(word, settings.GROUPS_HEADER) for word in words if word)
    if len(groups) > MOST_GROUPS:
        raise BadHeader(f"The header {settings.GROUPS_HEADER} names more than {MOST_GROUPS} groups.")
    return groups


def _header(request: HttpRequest, header: str) -> str | None:
    value: str | None = request.META.get("HTTP_" + header.upper().replace("-", "_"))
    if value is None:
        return None
    try:
        # WSGI hands the bytes of a header over as Latin-1 (PEP 3333).
        return value.encode("latin-1").decode("utf-8").strip(" \t")
    except UnicodeError:
        raise BadHeader(f"The header {header} is not UTF-8.") from None


def _checked(name: str, header: str) -> str:
    if not name:
        raise BadHeader(f"The header {header} is empty.")
    if len(name) > LONGEST_NAME:
        raise BadHeader(f"The header {header} holds a name of more than {LONGEST_NAME} characters.")
    if any(unicodedata.category(character)[0] == "C" for character in name) or name != name.strip():
        raise BadHeader(f"The header {header} holds a name with control characters or blanks around it.")
    if name.startswith(RESERVED):
        raise BadHeader(
            f"The header {header} holds a name that begins with {RESERVED}, which Kubernetes keeps to itself."
        )
    return name


def user_of(claim: Claim) -> User:
    """The row of the person that `claim` names, made or brought up to date.

    Raises BadHeader when the name belongs to a local user or to someone whose row was made inactive.
    """
    is_operator = claim.name in settings.OPERATORS
    email = claim.name if "@" in claim.name else ""
    # "!" and what follows it is Django's mark of an unusable password; the row has none from its first moment on.
    fresh = {"email": email, "is_staff": is_operator, "password": _unusable()}
    user, _ = User.objects.get_or_create(username=claim.name, defaults=fresh)
    if user.has_usable_password() or user.is_superuser:
        raise BadHeader(
            f"The name in the header {settings.USER_HEADER} is that of a local user, who signs in with a password."
        )
    if not user.is_active:
        raise BadHeader("This person's access to Credboard was switched off.")
    if user.is_staff != is_operator:
        user.is_staff = is_operator
        user.save(update_fields=["is_staff"])
    if claim.groups is not None:
        _set_groups(user, claim.groups)
    return user


def _unusable() -> str:
    nobody = User()
    nobody.set_unusable_password()
    return nobody.password


def _set_groups(user: User, names: frozenset[str]) -> None:
    if names == frozenset(user.groups.values_list("name", flat=True)):
        return
    Group.objects.bulk_create([Group(name=name) for name in sorted(names)], ignore_conflicts=True)
    user.groups.set(Group.objects.filter(name__in=names))


def is_operator(user: Any) -> bool:
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def as_of_now(user: User) -> User:
    """`user` as a row tells of them where nobody has signed in: someone who comes by a trusted header is an operator
    while the settings say so, which their row learns only when they come again. Changes `user`, saves nothing."""
    if not user.has_usable_password():
        user.is_staff = user.is_staff and user.get_username() in settings.OPERATORS
    return user


def visible_namespace(request: HttpRequest, cluster_name: str, namespace_name: str) -> Namespace:
    """The Namespace, or Http404: the same for one that is not there and one that is not for this person."""
    visible = Namespace.objects.visible_to(request.user).select_related("cluster")
    try:
        return visible.get(cluster__name=cluster_name, name=namespace_name)
    except Namespace.DoesNotExist:
        raise Http404("No such Namespace") from None


def operator_required(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Refuse the decorated view (403) to everyone but operators."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not is_operator(request.user):
            raise PermissionDenied("This is for operators of Credboard. Ask one of them.")
        return view(request, *args, **kwargs)

    return guarded


def person_of(user: Any) -> Person:
    """`user` as Kubernetes knows them, for writes in their own name."""
    return Person(name=user.get_username(), groups=tuple(sorted(groups_of(user).values_list("name", flat=True))))


class AccessReviewer(Protocol):
    """The part of `scanner.cluster.Cluster` that answers what a person may do."""

    def can(self, user: str, groups: Iterable[str], verb: str, resource: str, namespace: str) -> bool: ...


def may_create(
    user: Any, namespace: Namespace, connection: AccessReviewer, *, link: bool = True, restart: bool = False
) -> Decision:
    """May `user` create a pull Secret in `namespace` (and link it, and restart Pods)?

    An operator by role. Anyone else must own the Namespace and have the same rights in Kubernetes, which is asked now.
    Raises what `connection` raises (`scanner.cluster.ClusterError`).
    """
    if is_operator(user):
        return Decision(allowed=True)
    if not Namespace.objects.visible_to(user).filter(pk=namespace.pk).exists():
        return Decision(allowed=False, words="This Namespace does not name you as an owner.")
    rights = [("create", "secrets")]
    rights += [("patch", "serviceaccounts")] if link else []
    rights += [("delete", "pods")] if restart else []
    name = user.get_username()
    groups = list(groups_of(user).values_list("name", flat=True))
    for verb, resource in rights:
        if not connection.can(name, groups, verb, resource, namespace.name):
            return Decision(
                allowed=False,
                words=f"Kubernetes does not let {name} {verb} {resource} in {namespace.name}.",
                remedy="\n".join(grant_commands(name, Ask(verb=verb, resource=resource, namespace=namespace.name))),
            )
    return Decision(allowed=True)
