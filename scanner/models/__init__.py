"""What scans leave behind: rows that pages, mails and the API read. No column can hold a secret value.

Statuses and codes are plain text without `choices`: a new check or status needs no migration. `rank` repeats a status
as a number (`check.rank`) so that the database can sort worst first.

A foreign key that begins a unique constraint has no index of its own: a scan writes every index of what it changes.
"""

from scanner.models.access import WARN_BEFORE, ClusterAccess, ClusterAccessQuerySet
from scanner.models.audit import AuditEntry
from scanner.models.cell import Cell, CellQuerySet, Credential, CredentialQuerySet
from scanner.models.cluster import STALE_AFTER_INTERVALS, Cluster, ClusterQuerySet
from scanner.models.finding import Finding, FindingQuerySet
from scanner.models.freshness import Freshness
from scanner.models.keyset import in_order
from scanner.models.namespace import BLINDING, Namespace, NamespaceQuerySet, of_present
from scanner.models.owner import NamespaceOwner, NamespaceOwnerQuerySet, groups_of
from scanner.models.scan import Scan, ScanQuerySet
from scanner.models.statistics import hold_little, refresh_statistics
from scanner.models.transition import NO_CELL, Transition, TransitionQuerySet

__all__ = [
    "BLINDING",
    "NO_CELL",
    "STALE_AFTER_INTERVALS",
    "WARN_BEFORE",
    "AuditEntry",
    "Cell",
    "CellQuerySet",
    "Cluster",
    "ClusterAccess",
    "ClusterAccessQuerySet",
    "ClusterQuerySet",
    "Credential",
    "CredentialQuerySet",
    "Finding",
    "FindingQuerySet",
    "Freshness",
    "Namespace",
    "NamespaceOwner",
    "NamespaceOwnerQuerySet",
    "NamespaceQuerySet",
    "Scan",
    "ScanQuerySet",
    "Transition",
    "TransitionQuerySet",
    "groups_of",
    "hold_little",
    "in_order",
    "of_present",
    "refresh_statistics",
]
