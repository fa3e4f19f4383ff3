"""Lists become what a scan knows of one Namespace, and where a list fails, it says so instead of looking empty."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from scanner import raw
from scanner.cluster import listing
from scanner.cluster.errors import ClusterError, Forbidden, without_addresses
from scanner.cluster.listing import NAMESPACES, ByNamespace, PagedList, Profile, Resource, TooMuch

FORBIDDEN: Final = "forbidden"

#: Without these a scan would take what it may not see for what is not there.
REQUIRED: Final = frozenset({"namespaces", "secrets", "serviceaccounts", "pods"})


def listed(paged: PagedList) -> Iterator[tuple[raw.Namespace, str]]:
    """The listed Namespaces by name, each with what is wrong with it, or ""."""
    for page in paged.pages():
        found = [(namespace, "") for namespace in page.items]
        for _, name in page.broken:
            found.append((raw.Namespace(metadata=raw.ObjectMeta(name=name)), _undecodable(NAMESPACES, name)))
        yield from sorted(found, key=lambda pair: pair[0].metadata.name) if page.broken else found


def take(
    namespace: str, resource: Resource, stream: ByNamespace, everywhere: dict[str, str], here: dict[str, str]
) -> list[Any]:
    """The items of one resource in one Namespace; [] and a word in `everywhere` or `here` when they cannot be had."""
    if resource.name in everywhere:
        return []
    try:
        items, broken = stream.take(namespace)
    except ClusterError as error:
        if resource.name in REQUIRED:
            raise
        everywhere[resource.name] = _why(error)
        return []
    except TooMuch:
        here[resource.name] = _too_much()
        return []
    if broken:
        here[resource.name] = _undecodable(resource, broken)
        return []
    return items


def whole(paged: PagedList, unreadable: dict[str, str]) -> list[Any]:
    """All items of a list within one Namespace; [] and a word in `unreadable` when they cannot be had."""
    resource = paged.resource
    items: list[Any] = []
    size = 0
    try:
        for page in paged.pages():
            items += page.items
            size += page.size
            for _, name in page.broken:
                unreadable[resource.name] = _undecodable(resource, name)
            if size > listing.LARGEST_NAMESPACE:
                unreadable[resource.name] = _too_much()
                break
    except ClusterError as error:
        if resource.name in REQUIRED and not isinstance(error, Forbidden):
            raise
        unreadable[resource.name] = _why(error)
    return [] if resource.name in unreadable else items


def _why(error: ClusterError) -> str:
    return FORBIDDEN if isinstance(error, Forbidden) else without_addresses(str(error))


def _too_much() -> str:
    return f"there are more than {listing.LARGEST_NAMESPACE // 1024**2} MiB of them in this Namespace"


def _undecodable(resource: Resource, name: str) -> str:
    return f"the {resource.kind} {name!r} is not as the Kubernetes API defines it"


def is_selected(name: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Whether `name` matches one of the globs `include`, if there are any, and none of `exclude`."""
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return False
    return not include or any(fnmatchcase(name, pattern) for pattern in include)


def owner_of(profile: Profile) -> raw.Subject | None:
    """Whoever a person can be: a User or a Group (Kubeflow's Profile takes any subject of RBAC)."""
    owner = profile.spec.owner if profile.spec else None
    return owner if owner and owner.name and owner.kind in ("User", "Group") else None
