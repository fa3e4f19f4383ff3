"""Whose a Namespace is: what its sources say, and what one of them said that could not be read this time."""

from __future__ import annotations

from typing import Final

from scanner.models import Namespace, NamespaceOwner
from scanner.recording.rows import NAME_LIMIT, Changed, chunks
from scanner.snapshot import Owner
from scanner.storable import storable_text


def record_owners(changed: list[Changed]) -> None:
    present = {
        (owner.namespace_id, owner.kind, owner.name): owner
        for owner in NamespaceOwner.objects.filter(namespace__in=[one.row for one in changed])
    }
    standing = _standing_owners(changed, list(present.values()))
    wanted: dict[tuple[int, str, str], NamespaceOwner] = {
        (row.pk, owner.kind, owner.name): NamespaceOwner(
            namespace=row, kind=owner.kind, name=owner.name, source=owner.source
        )
        for row, verdict, _ in changed
        for owner in reversed(verdict.snapshot.owners)
        # A name that cannot be kept as it is must not become another one: it says who may see the namespace.
        if storable_text(owner.name, NAME_LIMIT) == owner.name and not _is_doubtful(row, owner, standing)
    }
    wanted |= {key: present[key] for key in standing}
    stale = {owner.pk for key, owner in present.items() if key not in wanted or wanted[key].source != owner.source}
    for chunk in chunks(sorted(stale)):
        NamespaceOwner.objects.filter(pk__in=chunk).delete()
    kept = {key for key, owner in present.items() if owner.pk not in stale}
    NamespaceOwner.objects.bulk_create((o for key, o in wanted.items() if key not in kept), batch_size=500)


def _standing_owners(changed: list[Changed], present: list[NamespaceOwner]) -> set[tuple[int, str, str]]:
    """(pk of the namespace, kind, name) of the owners stored from a source that could not be read this time.

    One failed list would otherwise hide namespaces from whose they are. Only in the very namespace that was seen, not
    in another of its name. The annotation by which Kubeflow repeats a Profile's owner stands for the Profile, but does
    not tell a group from a user: so what is stored under that name stands, and other names do not.
    """
    by_namespace = {one.row.pk: one for one in changed}
    standing = set()
    for owner in present:
        row, verdict, _ = by_namespace[owner.namespace_id]
        snapshot = verdict.snapshot
        if row.gone_at is not None or (row.uid and snapshot.uid and row.uid != snapshot.uid):
            continue
        unread = not _OWNER_SOURCES[owner.source].isdisjoint(snapshot.unreadable)
        if unread and owner.source == "profile":
            told = {one.name for one in snapshot.owners if one.source == "profile"}
            unread = not told or ("profiles" in snapshot.unreadable and owner.name in told)
        if unread:
            standing.add((owner.namespace_id, owner.kind, owner.name))
    return standing


def _is_doubtful(row: Namespace, owner: Owner, standing: set[tuple[int, str, str]]) -> bool:
    """Whether `owner` is stored already, or is only what the annotation makes of a group that is."""
    is_named_group = owner.source == "profile" and (row.pk, "group", owner.name) in standing
    return is_named_group or (row.pk, owner.kind, owner.name) in standing


#: Source of an owner -> what has to be read for it.
_OWNER_SOURCES: Final = {
    "profile": frozenset({"profiles", "namespaces"}),
    "annotation": frozenset({"namespaces"}),
    "rolebinding": frozenset({"rolebindings"}),
}
