"""Two Namespaces with five Secrets each, and ways to ask for them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from scanner.cluster import Cluster, Unavailable

CANARY = "hunter2-canary-value"


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(where: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": where}, "type": "Opaque"}


OBJECTS = [namespace("aa"), namespace("aa-b"), *(secret(ns, f"s{i}") for ns in ("aa", "aa-b") for i in range(5))]


def kubeconfig(server: str, **extra: Any) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": server, **extra}}],
            "users": [{"name": "u", "user": {"token": CANARY}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


def unavailable(connection: Cluster) -> Unavailable:
    with connection, pytest.raises(Unavailable) as failure:
        connection.namespace_names()
    assert CANARY not in f"{failure.value!r}{failure.value.remedy}"
    assert connection.server in str(failure.value)
    return failure.value


def secrets_of(cluster: Cluster) -> dict[str, list[str]]:
    found = cluster.namespaces(include=["aa*"])
    return {one.namespace.metadata.name: [s.metadata.name for s in one.secrets] for one in found}


ALL = {ns: [f"s{i}" for i in range(5)] for ns in ("aa-b", "aa")}
