"""Where else a Secret is that a finding misses, as far as the caller may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard import drawer
from dashboard.api.keys import Caller
from dashboard.cell_page import finding_row
from scanner.models import Finding

Places = Callable[[Finding], list[tuple[str, str]]]


def places_of(findings: Sequence[Finding], caller: Caller) -> Places:
    """Finding (with its Namespace) -> (Namespace, Secret) of the places that it knows of and the caller may see.

    At most one query for all of them.
    """
    known = {finding.pk: drawer.places([finding_row(finding)]) for finding in findings}
    names = {name for places in known.values() for name, _ in places}
    clusters = {finding.namespace.cluster_id for finding in findings if known[finding.pk]}
    visible = caller.namespaces.of_clusters(clusters).named(sorted(names)) if names else ()
    seen = {(one.cluster_id, one.name) for one in visible}

    def places(finding: Finding) -> list[tuple[str, str]]:
        here = finding.namespace.cluster_id
        return [place for place in known[finding.pk] if (here, place[0]) in seen]

    return places
