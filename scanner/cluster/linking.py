"""A ServiceAccount's imagePullSecrets, changed as the whole list that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from scanner.cluster.errors import Ask, Conflict
from scanner.cluster.exchange import get
from scanner.cluster.messages import Linked, write_query
from scanner.cluster.transport import MERGE_PATCH, Transport

_TRIES: Final = 5


def relink(
    transport: Transport, namespace: str, name: str, change: Callable[[list[str]], list[str]], *, dry_run: bool
) -> bool:
    """Write what `change` makes of the names in imagePullSecrets; False when that is what they are already.

    That list is atomic: no kind of patch merges it (core/v1 types.go: no patchStrategy in ServiceAccount, unlike in
    PodSpec). So the whole list is sent, for the very version that was read, and anew when somebody was faster.

    Raises Conflict when others keep being faster.
    """
    patch = Ask(verb="patch", resource="serviceaccounts", namespace=namespace, name=name)
    for attempt in range(1, _TRIES + 1):
        account = get(transport, Ask(verb="get", resource=patch.resource, namespace=namespace, name=name), Linked)
        before = [reference.name for reference in account.image_pull_secrets or ()]
        after = change(before)
        if after == before:
            return False
        body = {
            "metadata": {"resourceVersion": account.metadata.resource_version},
            "imagePullSecrets": [{"name": one} for one in after],
        }
        try:
            transport.send(patch, body=body, query=write_query(dry_run), content_type=MERGE_PATCH)
        except Conflict:
            if attempt == _TRIES:
                raise
        else:
            return True
    raise AssertionError("the last try returns or raises")
