"""Which Namespaces of a cluster are scanned, where they are read one by one."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase

from scanner import cluster as api
from scanner.cluster.errors import printable
from scanner.label_selector import InvalidSelector, parse_label_selector
from scanner.models import Cluster


def names_of(cluster: Cluster, connection: api.Cluster, refusal: api.ClusterWideForbidden) -> list[str]:
    """The Namespaces to scan one by one. Raises Forbidden where it is not known which there are."""
    try:
        return sorted(connection.namespace_names(label_selector=cluster.label_selector))
    except api.Forbidden as error:
        # Without the right to list Namespaces, those that `include` spells out can still be read.
        plain = sorted(spelled_out(cluster.include))
        if plain:
            return _labelled(cluster, connection, plain, error) if cluster.label_selector else plain
        why = f"{refusal} Nor may it list the Namespaces themselves. Grant that, or name those to scan one by one"
        example = f"manage.py cluster {cluster.name} --include NAMESPACE"
        remedy = refusal.remedy or error.remedy
        raise api.Forbidden(f"{why} ({example}).", ask=refusal.ask, grant=refusal.grant, remedy=remedy) from None


def spelled_out(include: list[str]) -> list[str]:
    """Those of `include` that are names and no globs."""
    return [name for name in include if not set(name) & set("*?[")]


def _labelled(cluster: Cluster, connection: api.Cluster, names: list[str], refusal: api.Forbidden) -> list[str]:
    """Those of `names` whose labels the cluster's selector matches. Raises Forbidden where labels cannot be read."""
    try:
        selector = parse_label_selector(cluster.label_selector)
    except InvalidSelector as error:
        raise invalid_selector(cluster.label_selector, str(error)) from None
    found = []
    for name in names:
        try:
            if selector.matches(connection.namespace_labels(name)):
                found.append(name)
        except api.NotFound:
            continue
        except api.Forbidden as error:
            drop = f'manage.py cluster {shlex.quote(cluster.name)} --selector ""'
            raise api.Forbidden(
                f"A label selector needs the right to list or get Namespaces, and Credboard has neither. "
                f"Grant one, or scan without the selector {printable(cluster.label_selector)!r} ({drop}).",
                ask=error.ask,
                grant=refusal.grant or error.grant,
                remedy=refusal.remedy or error.remedy,
            ) from None
    return found


def invalid_selector(selector: str, why: str) -> api.Invalid:
    """The error that tells which setting to change when a cluster's label selector cannot be used."""
    error = api.Invalid(f"The label selector {printable(selector)!r} cannot be used: {why.rstrip('.')}.")
    error.remedy = 'Change it with manage.py cluster NAME --selector SELECTOR, or drop it with --selector "".'
    return error


def is_selected(name: str, include: list[str], exclude: list[str]) -> bool:
    """True for a Namespace name that matches a glob of `include` (or `include` is empty) and none of `exclude`."""
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return False
    return not include or any(fnmatchcase(name, pattern) for pattern in include)
