"""Which Secrets of a namespace are what a requirement asks for."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.credentials.docker_registry import registry_of_key
from scanner.policy import Requirement
from scanner.registry_key import url_matches
from scanner.snapshot import PullEntry, Secret, Snapshot


def holders(snapshot: Snapshot, requirement: Requirement) -> Iterator[Secret]:
    """The Secrets that hold the required credential: readable pull Secrets with a login for its registry, or Secrets
    of any other credential with its column; of the name that is asked for."""
    for secret in snapshot.secrets.values():
        if requirement.secret in ("", secret.name) and _holds(secret, requirement):
            yield secret


def _holds(secret: Secret, requirement: Requirement) -> bool:
    if requirement.credential == f"secret/{secret.name}":
        return True
    if not requirement.registry:
        return any(parsed.credential == requirement.credential for parsed in secret.credentials)
    return (
        secret.is_pull_secret
        and not secret.malformed
        and any(_logs_in(entry, requirement.registry) for entry in secret.entries)
    )


def _logs_in(entry: PullEntry, registry: str) -> bool:
    """An entry with a user name and a password for `registry`, or for some of its paths."""
    if not entry.key or not entry.username or not entry.has_password:
        return False
    host = registry_of_key(entry.key)
    return host == registry or url_matches(host, f"{registry}/any")
