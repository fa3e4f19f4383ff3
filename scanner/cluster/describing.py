"""What may be told of a kubeconfig that lies in files: where it leads, as whom, and until when."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from scanner.cluster import kubeconfig
from scanner.cluster.errors import BadConfiguration
from scanner.pasted_kubeconfig import Access, BadKubeconfig, access_of, refuse_programs


def describe(path: str | None, context: str | None) -> Access | None:
    """Of the kubeconfig that `kubeconfig.connect` would use; None inside a cluster. Raises BadConfiguration.

    A token in a file of its own is renewed there by somebody else, so its end is not told.
    """
    found = kubeconfig.chosen(path, context)
    if found is None:
        return None
    return access_of(found.name, found.cluster, found.user_name, _with_certificate(found.user))


def refuse_programs_of(path: str, context: str | None) -> None:
    """Raises BadConfiguration when the kubeconfig at `path` signs in by running a program."""
    found = kubeconfig.chosen(path, context)
    try:
        refuse_programs(found.user if found else {})
    except BadKubeconfig as error:
        raise BadConfiguration(str(error)) from None


def _with_certificate(user: dict[str, Any]) -> dict[str, Any]:
    """`user` with the certificate of a file in place of its path, as far as it can be read."""
    path = user.get("client-certificate")
    if not isinstance(path, str) or not path or user.get("client-certificate-data"):
        return user
    try:
        return {**user, "client-certificate-data": base64.b64encode(Path(path).read_bytes()).decode()}
    except OSError:
        return user
