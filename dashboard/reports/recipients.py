"""Who gets a report, and whether an address may be written to at all.

- Operators with an e-mail address, and people who asked for one on their settings page.
- Owners whom a Namespace's Kubeflow Profile names, else its annotation `credboard.dev/owner`. A group has no address.

An address that only stands in a cluster object may be anybody's: whoever may write that object chose it. So it is
written to only within `CREDBOARD_MAIL_DOMAINS`, or when someone who has signed in has it as their own e-mail address.
Local users have theirs from an operator, others from the identity provider in front of the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from dashboard.identity import as_of_now, is_operator
from dashboard.models import Subscription
from dashboard.models.subscription import normalised
from scanner.models import Namespace, NamespaceOwner
from scanner.models.namespace import NamespaceQuerySet

#: What may name an owner's address, the more trustworthy first.
SOURCES: Final = (Subscription.Source.PROFILE, Subscription.Source.ANNOTATION)
LONGEST_ADDRESS: Final = 254
#: Django's mark of a row without a password: one that a trusted header made, when its person came.
_FROM_HEADER: Final = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A user name or an address as a cluster object has it, and what kind of object: "profile" or "annotation"."""

    name: str
    source: str


def valid_address(text: str) -> str:
    """`text` as an address that mail can be sent to, normalised; "" if it is none."""
    address = normalised(text)
    if len(address) > LONGEST_ADDRESS or not address.isascii():
        return ""
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address


def is_in_allowed_domain(address: str) -> bool:
    return address.rpartition("@")[2].lower() in settings.MAIL_DOMAINS


def has_signed_in(user: User) -> bool:
    """Whether `user` was ever here: signed in at the form, or came with a trusted header."""
    return user.last_login is not None or user.password.startswith(_FROM_HEADER)


def may_be_written_to(subscription: Subscription) -> bool:
    """Whether a report may go out now: its person may sign in, or the domain of an owner's address is allowed."""
    if subscription.user is not None:
        return subscription.user.is_active
    return subscription.source in SOURCES and is_in_allowed_domain(subscription.address)


def subscribe_people(*, now: datetime) -> int:
    """Subscribe operators and owners who may be written to and have no subscription, switched off or not; how many."""
    people = _People()
    people.adopt()
    people.follow()
    made = 0
    for user in people.operators():
        made += people.subscribe(valid_address(user.email), source=Subscription.Source.OPERATOR, user=user, now=now)
    for claimed in _owners(people):
        known = people.named(claimed.name)
        if known is not None:
            made += people.subscribe(valid_address(known.email), source=claimed.source, user=known, now=now)
        elif (address := valid_address(claimed.name)) and is_in_allowed_domain(address):
            made += people.subscribe(address, source=claimed.source, user=None, now=now)
    return made


def _owners(people: _People) -> list[Claimed]:
    """The owners whom Namespaces name, each once: of the Profile, else, where that names nobody with an address, of the
    annotation."""
    of_namespace: dict[int, dict[str, list[str]]] = {}
    rows = NamespaceOwner.objects.filter(kind="user", source__in=SOURCES, namespace__gone_at=None).order_by("name")
    for namespace, source, name in rows.values_list("namespace_id", "source", "name"):
        if people.named(name) or valid_address(name):
            of_namespace.setdefault(namespace, {}).setdefault(source, []).append(name)
    found: dict[str, Claimed] = {}
    for by_source in of_namespace.values():
        source = next(source for source in SOURCES if source in by_source)
        for name in by_source[source]:
            found.setdefault(name, Claimed(name=name, source=source))
    return list(found.values())


class _People:
    """Users and subscriptions as they are, looked up without a query for each."""

    def __init__(self) -> None:
        users = list(User.objects.filter(is_active=True).exclude(email="").order_by("pk"))
        self._users = [user for user in users if valid_address(user.email)]
        self._by_name = {user.username: user for user in self._users}
        self._by_email: dict[str, User] = {}
        for user in self._users:
            # Of several with one address the one who is called so.
            if user.username == user.email or user.email.casefold() not in self._by_email:
                self._by_email[user.email.casefold()] = user
        self._taken = {address.casefold() for address in Subscription.objects.values_list("address", flat=True)}
        self._subscribed = set(Subscription.objects.exclude(user=None).values_list("user", flat=True))

    def operators(self) -> list[User]:
        return [user for user in self._users if is_operator(as_of_now(user))]

    def named(self, name: str) -> User | None:
        """The person of this user name or e-mail address who has been here."""
        user = self._by_name.get(name) or self._by_email.get(name.casefold())
        return user if user is not None and has_signed_in(user) else None

    def adopt(self) -> None:
        """Give subscriptions at bare addresses to the people who have them and came since."""
        for subscription in Subscription.objects.filter(user=None):
            user = self.named(subscription.address)
            if user is not None and user.pk not in self._subscribed and subscription.adopt(user):
                self._subscribed.add(user.pk)

    def follow(self) -> None:
        """Move subscriptions that nobody chose an address for to that of the account, should it be another by now."""
        rows = Subscription.objects.exclude(user=None).exclude(source=Subscription.Source.PERSON)
        for subscription in rows.select_related("user"):
            address = valid_address(subscription.user.email) if subscription.user else ""
            if address and address.casefold() not in self._taken:
                Subscription.objects.filter(pk=subscription.pk).update(address=address)
                self._taken.add(address.casefold())

    def subscribe(self, address: str, *, source: str, user: User | None, now: datetime) -> int:
        """1 if there is a new subscription."""
        if not address or address.casefold() in self._taken or (user is not None and user.pk in self._subscribed):
            return 0
        self._taken.add(address.casefold())
        if user is not None:
            self._subscribed.add(user.pk)
        return int(Subscription.objects.subscribe(address, source=source, user=user, now=now) is not None)


def names_by_address() -> Mapping[str, list[str]]:
    """The owners' names that are addresses, by the address as `Subscription` holds it."""
    names: dict[str, list[str]] = {}
    rows = NamespaceOwner.objects.filter(kind="user", name__contains="@")
    for name in rows.values_list("name", flat=True).distinct():
        names.setdefault(normalised(name), []).append(name)
    return names


def namespaces_of(subscription: Subscription, names: Mapping[str, list[str]]) -> NamespaceQuerySet:
    """The Namespaces that the reader may see now: as a person, else those that name the address itself."""
    if subscription.user is not None:
        return Namespace.objects.visible_to(subscription.user)
    named = NamespaceOwner.objects.filter(kind="user", name__in=names.get(subscription.address, ()))
    return Namespace.objects.present().filter(pk__in=named.values("namespace"))
