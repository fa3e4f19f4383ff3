"""Defaults and admission of the demo API: what a real server fills in before it stores an object."""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import UTC, datetime
from typing import Final

from dashboard.demo.resources import Resource
from dashboard.demo.status import ApiError, Json
from dashboard.demo.store import Store

__all__ = ["admit_pod", "fresh_metadata", "service_account_of", "suffix", "timestamp"]

# Kubernetes' own alphabet for generated names: no vowels, no look-alikes (apimachinery pkg/util/rand).
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time prints it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def suffix(length: int = 5) -> str:
    """A random name suffix as generateName makes it."""
    return "".join(random.choices(_ALPHABET, k=length))


def fresh_metadata(resource: Resource, metadata: Json, now: datetime) -> Json:
    """The metadata of a new object: name from generateName, uid, creationTimestamp; what only the server may set is
    overwritten.
    """
    metadata = dict(metadata)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + suffix()
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"):
        metadata.pop(key, None)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(now)}
    if resource.kind == "Pod" or resource.custom:
        metadata["generation"] = 1
    if resource.kind == "Namespace" and metadata.get("name"):
        metadata["labels"] = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": metadata["name"]}
    return metadata


def service_account_of(pod: Json) -> str:
    """The name of the ServiceAccount that a Pod runs as."""
    spec = pod.get("spec") or {}
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def admit_pod(store: Store, accounts: Resource, pod: Json) -> Json:
    """The Pod with defaults and what the ServiceAccount admission plugin adds.

    Pull Secrets are copied from the ServiceAccount only when the Pod names none (plugin/pkg/admission/serviceaccount).
    Raises ApiError 403 where the ServiceAccount does not exist.
    """
    metadata, spec = pod["metadata"], dict(pod.get("spec") or {})
    namespace, name = metadata["namespace"], service_account_of(pod)
    account = store.get(accounts, namespace, name)
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise ApiError.forbidden("pods", "", metadata.get("name", ""), why)
    spec |= {"serviceAccountName": name, "serviceAccount": name}
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(reference) for reference in account["imagePullSecrets"]]
    defaults: Json = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{state}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for state in ("not-ready", "unreachable")
        ],
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
    }
    spec = defaults | spec
    mounts_token = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    spec = _with_token(pod, spec) if mounts_token else spec
    for group in ("containers", "initContainers"):
        if group in spec:
            spec[group] = [_with_container_defaults(container) for container in spec[group]]
    return pod | {"spec": spec, "status": {"phase": "Pending", "qosClass": "BestEffort"}}


def _with_container_defaults(container: Json) -> Json:
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    policy = "Always" if "@" not in image and tag in {"", "latest"} else "IfNotPresent"
    defaults = {"resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
    return defaults | {"imagePullPolicy": policy} | container


def _with_token(pod: Json, spec: Json) -> Json:
    """The `kube-api-access` volume and its mounts, which almost every real Pod has."""
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    if any(
        mount.get("mountPath") == path
        for container in spec.get("containers") or []
        for mount in container.get("volumeMounts") or []
    ):
        return spec
    digest = hashlib.sha256(f"{pod['metadata'].get('namespace')}/{pod['metadata'].get('name')}".encode()).digest()
    name = "kube-api-access-" + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:5])
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    volume = {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
    mount = {"name": name, "readOnly": True, "mountPath": path}
    spec = spec | {"volumes": [*(spec.get("volumes") or []), volume]}
    for group in ("containers", "initContainers"):
        if group in spec:
            spec[group] = [item | {"volumeMounts": [*(item.get("volumeMounts") or []), mount]} for item in spec[group]]
    return spec
