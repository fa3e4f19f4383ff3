"""Whose a Namespace is, as Kubeflow's Profiles say; most clusters have none, which is no fault."""

from __future__ import annotations

from scanner import raw
from scanner.cluster.errors import Ask, ClusterError, Forbidden, without_addresses
from scanner.cluster.exchange import get
from scanner.cluster.gathering import FORBIDDEN, owner_of
from scanner.cluster.listing import PROFILES, PagedList, Profile
from scanner.cluster.transport import Transport


def owners(transport: Transport, profiles: PagedList, unreadable: dict[str, str]) -> dict[str, raw.Subject | None]:
    """The owners of all Namespaces by name; {} and a word in `unreadable` when they cannot be had."""
    try:
        return {p.metadata.name: owner_of(p) for page in profiles.pages() for p in page.items}
    except ClusterError as error:
        _note(transport, error, unreadable)
        return {}


def owner(transport: Transport, name: str, unreadable: dict[str, str]) -> raw.Subject | None:
    """The owner of one Namespace; None and a word in `unreadable` when it cannot be had."""
    ask = Ask(verb="get", resource=PROFILES.name, api=PROFILES.api, name=name)
    try:
        return owner_of(get(transport, ask, Profile))
    except ClusterError as error:
        _note(transport, error, unreadable)
        return None


def are_served(transport: Transport, ask: Ask) -> bool:
    """Whether this cluster has Profiles at all, as far as may be asked. Without Kubeflow there are none, which the API
    server says with 404, or, to those without the right to read them, with 403: RBAC comes first. Only discovery, open
    to everybody who signs in, tells those apart."""
    try:
        transport.send(ask, path=f"/apis/{PROFILES.api}")
    except ClusterError as unserved:
        return unserved.status != 404
    return True


def _note(transport: Transport, error: ClusterError, unreadable: dict[str, str]) -> None:
    if isinstance(error, Forbidden):
        if are_served(transport, error.ask):
            unreadable[PROFILES.name] = FORBIDDEN
    elif error.status != 404:
        unreadable[PROFILES.name] = without_addresses(str(error))
