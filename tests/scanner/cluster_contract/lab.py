"""A cluster to try things on: a real kube-apiserver, or the demo cluster."""

from __future__ import annotations

import itertools
from base64 import b64encode
from pathlib import Path
from typing import Any, Protocol

from dashboard.demo.server import DemoCluster
from scanner import raw
from scanner.cluster import Cluster
from tests.rig.apiserver import KubeApiServer
from tests.rig.kube_api import unique_namespace
from tests.rig.process import wait_until

Json = dict[str, Any]
READS_ALL = [
    {
        "apiGroups": [""],
        "resources": ["namespaces", "secrets", "serviceaccounts", "pods", "events"],
        "verbs": ["get", "list"],
    },
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["get", "list"]},
]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROFILE_CRD: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "profiles.kubeflow.org"},
    "spec": {
        "group": "kubeflow.org",
        "scope": "Cluster",
        "names": {"plural": "profiles", "singular": "profile", "kind": "Profile", "listKind": "ProfileList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
_users = itertools.count(1)


class Lab(Protocol):
    """A cluster to try things on."""

    def connect(self, user: str = "") -> Cluster: ...
    def new_user(self) -> str: ...
    def new_namespace(self, name: str = "", **metadata: Any) -> str: ...
    def apply(self, *objects: Json) -> None: ...
    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None: ...
    def end(self) -> None: ...


class RealLab:
    def __init__(self, server: KubeApiServer, folder: Path) -> None:
        self.server, self._folder = server, folder
        self._definitions: list[Json] = []

    def connect(self, user: str = "") -> Cluster:
        name = user or "admin"
        path = self.server.kubeconfig(self._folder / f"{name}.kubeconfig", user=name)
        return Cluster.from_kubeconfig(str(path))

    def new_user(self) -> str:
        name = f"contract-{next(_users)}"
        self.server.add_user(name)
        return name

    def new_namespace(self, name: str = "", **metadata: Any) -> str:
        return self.server.create_namespace(name or unique_namespace("contract"), **metadata)

    def apply(self, *objects: Json) -> None:
        self._definitions += [one for one in objects if one["kind"] == "CustomResourceDefinition"]
        self.server.apply(objects)

    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None:
        self.server.grant(user, rules, namespace=namespace)

    def end(self) -> None:
        """Other tests share the server, and what it serves makes a difference to scans."""
        for one in self._definitions:
            self.server.must("DELETE", f"{CRDS}/{one['metadata']['name']}")
            wait_until(lambda group=one["spec"]["group"]: not self._serves(group), "what was defined is gone")

    def _serves(self, group: str) -> bool:
        return self.server.request("GET", f"/apis/{group}")[0] != 404


class DemoLab:
    def __init__(self, demo: DemoCluster, folder: Path) -> None:
        self.demo, self._folder = demo, folder
        self._tokens: dict[str, str] = {}

    def connect(self, user: str = "") -> Cluster:
        path = self.demo.kubeconfig(self._folder / f"{user}.kubeconfig", token=self._tokens.get(user))
        return Cluster.from_kubeconfig(str(path))

    def new_user(self) -> str:
        name = f"contract-{next(_users)}"
        self._tokens[name] = self.demo.add_user(name, ())
        return name

    def new_namespace(self, name: str = "", **metadata: Any) -> str:
        name = name or unique_namespace("contract")
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}})
        return name

    def end(self) -> None:
        """Has nothing to do: the fixture `demo` ends the cluster."""

    def apply(self, *objects: Json) -> None:
        for document in objects:
            if document["kind"] != "CustomResourceDefinition":
                self.demo.api.load(document)

    def grant(self, user: str, rules: list[Json], namespace: str | None = None) -> None:
        kind = "Role" if namespace else "ClusterRole"
        metadata = {"name": f"grant-{next(_users)}", **({"namespace": namespace} if namespace else {})}
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self.apply({"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules}, binding)


def secret(namespace: str, name: str, type: str = "Opaque", **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": type,
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }


def pod(namespace: str, name: str) -> Json:
    containers = [{"name": "main", "image": "quay.io/team/app:1"}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def event(namespace: str, name: str, kind: str, type: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"kind": kind, "name": "one", "namespace": namespace},
        "type": type,
        "reason": "Failed",
        "message": "Failed to pull image",
        "reportingComponent": "kubelet",
    }


def names(objects: list[Any]) -> list[str]:
    return sorted(one.metadata.name for one in objects)


def under(prefix: str, cluster: Cluster, **how: Any) -> dict[str, raw.NamespaceObjects]:
    found = cluster.namespaces(include=[f"{prefix}*"], **how)
    return {one.namespace.metadata.name: one for one in found}
