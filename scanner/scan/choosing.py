"""Whether a cluster can be scanned as it is described: asked before it is saved, by the command and by the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from scanner import cluster as api
from scanner.cluster.describing import describe
from scanner.label_selector import InvalidSelector, parse_label_selector
from scanner.models import Cluster
from scanner.pasted_kubeconfig import Access
from scanner.scan import connect
from scanner.scan.selecting import invalid_selector, is_selected, spelled_out

#: Seconds from the start of one scan to the next.
SHORTEST, LONGEST = 5, 86_400
#: Seconds that each answer of the cluster may take before it counts as unreachable.
ASK_TIMEOUT: Final = 5
#: Globs of one kind; more are a mistake, and each Namespace is compared with all of them.
MOST_GLOBS: Final = 200
#: So many Namespaces that `include` spells out are asked about one by one.
_MOST_NAMED: Final = 10
_READER: Final = "Apply docs/rbac/cluster-reader.yaml, and bind it to the identity of the kubeconfig."


def problems_of(cluster: Cluster) -> dict[str, list[str]]:
    """What is wrong with the fields of `cluster`, by their names; nothing is asked of the cluster."""
    found: dict[str, list[str]] = {}
    try:
        cluster.full_clean()
    except ValidationError as error:
        found = dict(error.message_dict)
    name = cluster.name
    if "/" in name or not name.isprintable() or name != name.strip():
        words = "A cluster's name stands in addresses of pages: no slash and no control character."
        found.setdefault("name", []).append(words)
    if not SHORTEST <= cluster.scan_interval <= LONGEST:
        found.setdefault("scan_interval", []).append(f"It must be between {SHORTEST} and {LONGEST} seconds.")
    for field in ("include", "exclude"):
        if len(getattr(cluster, field)) > MOST_GLOBS:
            found.setdefault(field, []).append(f"These are more than {MOST_GLOBS}.")
    try:
        parse_label_selector(cluster.label_selector)
    except InvalidSelector as error:
        found.setdefault("label_selector", []).append(str(invalid_selector(cluster.label_selector, str(error))))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a cluster answered. With an `error` it did not, and `is_unusable` when no later scan could do better.

    `matching` of `namespaces` would be scanned. `missing` may not be listed in the whole cluster, which `grants`
    (kubectl commands, or words) would change; `is_partial`: Namespaces are read one by one therefore.
    """

    version: str = ""
    namespaces: int | None = None
    matching: int | None = None
    missing: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    is_partial: bool = False
    error: str = ""
    remedy: str = ""
    is_unusable: bool = False
    access: Access | None = None

    @property
    def leaves_nothing(self) -> bool:
        """True when the filters leave none of the Namespaces that there are."""
        return bool(self.namespaces) and self.matching == 0

    @property
    def is_good(self) -> bool:
        """True when there is nothing that a person should know before saving."""
        return not (self.error or self.missing or self.leaves_nothing)


@sensitive_variables()
def try_cluster(cluster: Cluster, *, kubeconfig: str = "", access: Access | None = None) -> Trial:
    """Ask the cluster what a scan would ask. `kubeconfig` is the text of one that is not stored yet, `access` what is
    told of it. Raises nothing: what goes wrong is in the answer."""
    try:
        if access is None and not kubeconfig:
            access = known_access(cluster)
        with connect(
            cluster, kubeconfig=kubeconfig, connect_timeout=ASK_TIMEOUT, read_timeout=ASK_TIMEOUT
        ) as connection:
            return _ask(cluster, connection, access)
    except (api.BadConfiguration, api.Invalid) as error:
        return Trial(error=str(error), remedy=error.remedy, is_unusable=True, access=access)
    except api.ClusterError as error:
        return Trial(error=str(error), remedy=error.remedy, access=access)


def known_access(cluster: Cluster) -> Access | None:
    """What is told of the kubeconfig that `cluster` uses now. Raises BadConfiguration."""
    row = getattr(cluster, "access", None) if cluster.pk else None
    if row is not None and row.kubeconfig and not cluster.kubeconfig:
        return Access(
            context=row.context,
            server=row.server,
            user=row.user,
            expires_at=row.expires_at,
            is_unverified=row.is_unverified,
        )
    return describe(cluster.kubeconfig or None, cluster.context or None)


def _ask(cluster: Cluster, connection: api.Cluster, access: Access | None) -> Trial:
    version = connection.about().version
    rights = connection.rights()
    missing = tuple(name for name, allowed in rights.items() if not allowed)
    if _reads_what_is_named(cluster, connection, missing):
        # Rights to the whole cluster are not wanted then.
        missing = ()
    names = labelled = None
    if rights.get("namespaces"):
        names = connection.namespace_names()
        try:
            labelled = connection.namespace_names(label_selector=cluster.label_selector)
        except api.Invalid as error:
            raise invalid_selector(cluster.label_selector, str(error)) from None
    return Trial(
        version=version,
        namespaces=None if names is None else len(names),
        matching=None if labelled is None else sum(is_selected(n, cluster.include, cluster.exclude) for n in labelled),
        missing=missing,
        grants=tuple(_grants(connection, rights)) if missing else (),
        is_partial=not api.REQUIRED.isdisjoint(missing),
        access=access,
    )


def _reads_what_is_named(cluster: Cluster, connection: api.Cluster, missing: tuple[str, ...]) -> bool:
    """True when `cluster` is narrowed to a few Namespaces by name, and all that a scan needs of each may be read."""
    named = spelled_out(cluster.include)
    if api.REQUIRED.isdisjoint(missing) or len(named) != len(cluster.include) or not 0 < len(named) <= _MOST_NAMED:
        return False
    if cluster.label_selector and "namespaces" in missing:
        return False  # labels are read with a right that was not asked about
    return all(all(connection.rights(name).values()) for name in named)


def _grants(connection: api.Cluster, rights: Mapping[str, bool]) -> Iterator[str]:
    """How to get the rights that are missing: in the words of the API server's refusal, which knows our name."""
    missing = {name for name, allowed in rights.items() if not allowed}
    if missing & api.REQUIRED:
        try:
            next(connection.namespaces(), None)
        except api.ClusterWideForbidden as refusal:
            yield from refusal.grant
            return
    if missing:
        yield _READER
