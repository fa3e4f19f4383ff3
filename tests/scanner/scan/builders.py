"""A small cluster to scan, and what its scans stored."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from dashboard.demo.server import DemoCluster
from scanner.models import Cluster, Namespace, Scan
from scanner.scan import scan_cluster, scan_namespace

Json = dict[str, Any]


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(where: str, *, pull: str = "regcred", image: str = "quay.io/team/app:1") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": where, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "app", "image": image}], "imagePullSecrets": [{"name": pull}]},
        "status": {"phase": "Pending"},
    }


def rolebinding(where: str, user: str) -> Json:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "editors", "namespace": where},
        "subjects": [{"kind": "User", "name": user, "apiGroup": group}],
        "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": group},
    }


def secret(where: str, name: str = "regcred") -> Json:
    config = "eyJhdXRocyI6eyJxdWF5LmlvIjp7InVzZXJuYW1lIjoicHVsbGVyIiwicGFzc3dvcmQiOiJwdy0xMjMifX19"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": where},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": config},
    }


OBJECTS = [
    *(namespace(name) for name in ("team-a", "team-b", "closed")),
    *(secret(name) for name in ("team-a", "closed")),
    *(pod(name) for name in ("team-a", "team-b", "closed")),
]
OWN = ["team-*", "close*"]


def statuses() -> dict[str, str]:
    return dict(Namespace.objects.present().values_list("name", "status"))


def scan_all(cluster: Cluster) -> Scan:
    done = scan_cluster(cluster)
    assert done is not None
    return Scan.objects.get(pk=done.pk)


def scan_handed_out() -> None:
    """What the workers do."""
    for one in Namespace.objects.due(timezone.now()):
        if one.claim_scan():
            scan_namespace(Namespace.objects.select_related("cluster").get(pk=one.pk))


def stored_namespace(demo: DemoCluster, name: str) -> tuple[Any, Json]:
    from dashboard.demo.resources import of_object

    resource = of_object(namespace(name))
    return resource, next(one for one in demo.store.all(resource, "") if one["metadata"]["name"] == name)


FORBIDDEN = 'namespaces is forbidden: User "credboard" cannot list resource "namespaces" in API group "" at all'
