"""The kubeconfig of a cluster: where it is stored, and what is told of it."""

from __future__ import annotations

from scanner.cluster import BadConfiguration
from scanner.cluster.describing import describe
from scanner.encryption import CannotDecrypt
from scanner.models import Cluster, ClusterAccess


def stored_kubeconfig(cluster: Cluster) -> str:
    """The text of the kubeconfig that a page stored for `cluster`, "" when it is used from files.

    Raises BadConfiguration when no key decrypts it.
    """
    if cluster.pk is None or cluster.kubeconfig:
        return ""
    try:
        return ClusterAccess.objects.kubeconfig_of(cluster)
    except CannotDecrypt as error:
        raise BadConfiguration(
            f"The stored kubeconfig of {cluster.name} cannot be decrypted.",
            remedy=f"{error} That is in Settings, Clusters.",
        ) from None


def note_access(cluster: Cluster) -> None:
    """Keep what is told of a kubeconfig in files up to date: whoever mounts it may have renewed it since.

    Raises nothing for a file that went away since it was connected with.
    """
    if ClusterAccess.objects.stored().filter(cluster=cluster).exists():
        return
    try:
        access = describe(cluster.kubeconfig or None, cluster.context or None)
    except BadConfiguration:
        return
    if access is None:
        ClusterAccess.objects.filter(cluster=cluster).delete()
    else:
        ClusterAccess.objects.note(cluster, access)
