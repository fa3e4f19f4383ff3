"""What things are called in messages, and where their pages are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from django.conf import settings
from django.utils.http import urlencode

from dashboard.alerting.wording import Names
from dashboard.reports.sending import public
from scanner.models import Cluster


def naming(namespaces: Mapping[int, str], *, zone: tzinfo) -> Names:
    """Names for messages to a reader in `zone`; `namespaces` are those that they may speak of, by pk."""
    clusters = dict(Cluster.objects.values_list("pk", "name"))
    links = _Links(namespaces, clusters)
    return Names(namespaces=namespaces, clusters=clusters, zone=zone, link=links, acknowledge=links.acknowledge)


class _Links:
    """Addresses of pages. "" while nobody has said under which address people reach Credboard (CREDBOARD_URL)."""

    def __init__(self, namespaces: Mapping[int, str], clusters: Mapping[int, str]) -> None:
        self._namespaces, self._clusters = namespaces, clusters

    def __call__(self, cluster: int, credential: str, reason: str, namespace: int | None) -> str:
        if not settings.PUBLIC_URL:
            return ""
        name = self._clusters[cluster]
        if namespace is not None:
            return public("cell", name, self._namespaces[namespace], credential)
        query = {"cluster": name, "credential": credential, "reason": reason}
        return f"{public('matrix')}?{urlencode({key: value for key, value in query.items() if value})}"

    def acknowledge(self, cluster: int, credential: str, namespace: int) -> str:
        if not settings.PUBLIC_URL:
            return ""
        return public("acknowledge", self._clusters[cluster], self._namespaces[namespace], credential)
