"""Names of the matrix's columns that are more than a registry's host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The one column of all Secrets that workloads refer to by name and that no other column is for.
SECRETS: Final = "secrets"
#: The column of what is more than a Namespace may have; see `verdict.MOST_CELLS`.
OTHERS: Final = "others"
_LABELS: Final[Mapping[str, str]] = {SECRETS: "Workload Secrets", OTHERS: "Others, not shown", "tls": "TLS"}


def label_of(credential: str) -> str:
    """A column's name as a heading: "registry/quay.io" is "quay.io", "tls" is "TLS"."""
    return _LABELS.get(credential) or credential.partition("/")[2] or credential.upper()
