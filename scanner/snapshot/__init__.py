"""One namespace as a scan saw it: immutable, and free of secret values.

`build_snapshot` is where the bytes of Secrets stop. No type of this package, nor any built from it, can hold one.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType

from scanner import raw
from scanner.credential import Fingerprint
from scanner.elsewhere import Elsewhere, Place
from scanner.literal import LiteralCredential
from scanner.snapshot.owners import OWNER_ANNOTATION, owners_of
from scanner.snapshot.picture import (
    PULL_SECRET_TYPES,
    Container,
    Event,
    Owner,
    Pod,
    PullEntry,
    Secret,
    SecretReference,
    ServiceAccount,
    Snapshot,
    Unread,
)
from scanner.snapshot.pods import read_event, read_pod, read_service_account
from scanner.snapshot.secrets import read_secret

__all__ = [
    "OWNER_ANNOTATION",
    "PULL_SECRET_TYPES",
    "Container",
    "Elsewhere",
    "Event",
    "LiteralCredential",
    "Owner",
    "Place",
    "Pod",
    "PullEntry",
    "Secret",
    "SecretReference",
    "ServiceAccount",
    "Snapshot",
    "Unread",
    "build_snapshot",
]


def build_snapshot(objects: raw.NamespaceObjects, *, fingerprint: Fingerprint) -> Snapshot:
    """Turn what the API server sent into a picture without secret values.

    Never raises on what a cluster can hold: a Secret that cannot be read becomes `malformed` or `unparsable`.
    """
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in objects.events:
        if event.involved_object.kind == "Pod":
            events[event.involved_object.name].append(read_event(event))
    namespace = objects.namespace
    names = frozenset([secret.metadata.name for secret in objects.secrets])
    return Snapshot(
        name=namespace.metadata.name,
        uid=namespace.metadata.uid,
        phase=namespace.status.phase if namespace.status else "",
        labels=MappingProxyType(namespace.metadata.labels or {}),
        owners=tuple(owners_of(objects)),
        secrets=MappingProxyType({s.metadata.name: read_secret(s, fingerprint) for s in objects.secrets}),
        service_accounts=MappingProxyType({a.metadata.name: read_service_account(a) for a in objects.service_accounts}),
        pods=tuple(read_pod(pod, events.get(pod.metadata.name, ()), names) for pod in objects.pods),
        unreadable=MappingProxyType(dict(objects.unreadable)),
    )
