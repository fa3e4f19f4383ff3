"""The chart as `helm` renders it, and the combinations of values that tests render."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.rig import binaries, parts
from tests.shipping.chart_readme import CHART

Json = Any
Values = Mapping[str, Any]

LARGE: Final = "values-large.yaml"
TRIAL: Final[Values] = {"postgresql": {"enabled": True}}
EXTERNAL: Final[Values] = {
    "database": {"existingSecret": "db"},
    "redis": {"existingSecret": "broker"},
    "valkey": {"enabled": False},
}
KUBEFLOW: Final[Values] = {
    **EXTERNAL,
    "url": "https://kubeflow.example.com",
    "pathPrefix": "/credboard",
    "istio": {"enabled": True, "authorizationPolicy": {"enabled": True}},
    "settings": {"CREDBOARD_TRUSTED_PROXIES": "127.0.0.6/32", "CREDBOARD_OPERATORS": ["ada@example.com"]},
}
IMPERSONATION: Final[Values] = {"enabled": True, "users": ["ada@example.com", "grace@example.com"], "groups": ["team"]}
MONITORING: Final[Values] = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "tokenSecret": {"name": "metrics"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "grafanaDashboard": {"enabled": True},
}
TLS: Final = [{"secretName": "credboard-tls", "hosts": ["credboard.example.com"]}]
TOLERATIONS: Final = [{"key": "infra", "operator": "Exists", "effect": "NoSchedule"}]
PLACE: Final[Values] = {"nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": TOLERATIONS}
ANNOTATED: Final[Values] = {"serviceAccountAnnotations": {"iam.example.com/role": "credboard"}}
PROXY: Final[Values] = {
    "name": "proxy",
    "image": "registry.example.com/proxy:1",
    "restartPolicy": "Always",
    "resources": {"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
AFFINITY: Final[Values] = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["infra"]}]}]
        }
    }
}
ANY_IDS: Final[Values] = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
OPENSHIFT: Final[Values] = {**ANY_IDS, "postgresql": {"enabled": True, **ANY_IDS}, "valkey": ANY_IDS}
EVERYTHING: Final[Values] = {
    **TRIAL,
    "commonLabels": {"team": "platform"},
    "global": {"imageRegistry": "mirror.example.com/all", "imagePullSecrets": ["regcred", {"name": "mirror"}]},
    "priorityClassName": "system-cluster-critical",
    "extraInitContainers": [PROXY],
    "url": "https://credboard.example.com",
    "pathPrefix": "/credboard",
    "image": {"repository": "registry.example.com/credboard", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": ["regcred"],
    "settings": {"CREDBOARD_API_RATE": 1000000, "CREDBOARD_LOG_REQUESTS": True},
    "secretSettings": {"CREDBOARD_SMTP_PASSWORD": {"name": "mail", "key": "password"}},
    "policy": 'thresholds: {"warn": "a: b"}\n',
    "postgresql": {"enabled": True, **PLACE},
    "valkey": {"enabled": True, **PLACE},
    "web": {"autoscaling": {"enabled": True}, **PLACE, "affinity": AFFINITY, "podLabels": {"part": "a"}, **ANNOTATED},
    "worker": {"autoscaling": {"enabled": True, "by": "keda"}, **PLACE, "podAnnotations": {"a": "b"}, **ANNOTATED},
    "beat": {"replicas": 2, **PLACE},
    "watch": {"enabled": True, **PLACE},
    "migrate": {**PLACE, "podLabels": {"sidecar.istio.io/inject": "false"}},
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "service": {"annotations": {"a": "b"}},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"}, "tls": TLS},
    "gateway": {"enabled": True, "parentRefs": [{"name": "gateway", "namespace": "gateways"}], "hostnames": ["a.b"]},
    "istio": {"enabled": True, "authorizationPolicy": {"enabled": True}},
    "networkPolicy": {
        "webFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "dnsTo": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "egressTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "extraIngress": [{"ports": [{"port": 15020}]}],
        "extraEgress": [{"ports": [{"port": 8443}]}],
    },
    "metrics": MONITORING,
}

#: Name -> values. Each is linted, rendered and applied.
MATRIX: Final[Mapping[str, Values]] = {
    "trial": TRIAL,
    "external": EXTERNAL,
    "external database, bundled broker": {"database": {"existingSecret": "db"}},
    "bundled database, external broker": {**TRIAL, "valkey": {"enabled": False}, "redis": {"existingSecret": "r"}},
    "keys of ours": {**TRIAL, "keys": {"existingSecret": "keys"}},
    "passwords of ours": {
        "postgresql": {"enabled": True, "existingSecret": "pg"},
        "valkey": {"enabled": True, "existingSecret": "vk"},
    },
    "no volume": {"postgresql": {"enabled": True, "size": ""}},
    "volume of a class": {"postgresql": {"enabled": True, "storageClass": "fast", "size": "20Gi"}},
    "read only": {**TRIAL, "rbac": {"mode": "readOnly"}},
    "namespaces": {**TRIAL, "rbac": {"mode": "namespaces", "namespaces": ["default", "kube-public", "default"]}},
    "namespaces, external": {**EXTERNAL, "rbac": {"mode": "namespaces", "namespaces": ["default"]}},
    "read only, namespaces": {**EXTERNAL, "rbac": {"mode": "readOnly", "namespaces": ["default"]}},
    "no admission policy": {**TRIAL, "rbac": {"admissionPolicy": False}},
    "without profiles": {**TRIAL, "rbac": {"profiles": False}},
    "impersonation": {**TRIAL, "rbac": {"impersonation": IMPERSONATION}},
    "impersonation in namespaces": {
        **TRIAL,
        "rbac": {"mode": "namespaces", "namespaces": ["default"], "impersonation": IMPERSONATION},
    },
    "ingress": {**TRIAL, "ingress": {"enabled": True}},
    "ingress, tls": {
        **TRIAL,
        "url": "https://credboard.example.com",
        "ingress": {"enabled": True, "className": "nginx", "tls": TLS},
    },
    "gateway": {**TRIAL, "gateway": {"enabled": True, "parentRefs": [{"name": "gateway"}]}},
    "kubeflow": KUBEFLOW,
    "istio at the root": {**TRIAL, "istio": {"enabled": True}},
    "worker by cpu": {**TRIAL, "worker": {"autoscaling": {"enabled": True}}},
    "worker by queue": {**TRIAL, "worker": {"autoscaling": {"enabled": True, "by": "keda"}}},
    "worker by an external queue": {
        **EXTERNAL,
        "worker": {
            "autoscaling": {
                "enabled": True,
                "by": "keda",
                "keda": {
                    "redisAddress": "r.example.com:6380",
                    "redisDatabase": 3,
                    "redisTLS": True,
                    "triggerAuthentication": "redis",
                },
            }
        },
    },
    "web by cpu": {**TRIAL, "web": {"autoscaling": {"enabled": True}}},
    "watch": {**TRIAL, "watch": {"enabled": True}},
    "watch, read only": {**EXTERNAL, "watch": {"enabled": True}, "rbac": {"mode": "readOnly", "profiles": False}},
    "no network policy": {**TRIAL, "networkPolicy": {"enabled": False}},
    "no egress but what it brings": {**TRIAL, "networkPolicy": {"egressPorts": []}},
    "no disruption budget, no spread": {
        **TRIAL,
        "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"enabled": False},
    },
    "monitoring": {**TRIAL, "metrics": MONITORING},
    "openshift": OPENSHIFT,
    "other names": {**TRIAL, "nameOverride": "cb", "fullnameOverride": "health-of-credentials"},
    "single pods": {**TRIAL, "web": {"replicas": 1}, "worker": {"replicas": 1}},
    "policy": {**TRIAL, "policy": "thresholds: {}\n# 'quotes' \"and\" more: {{ not a template }}\n"},
    "node port": {**TRIAL, "service": {"type": "NodePort"}},
    "everything": EVERYTHING,
    "large": {LARGE: True, **EXTERNAL},
    "large, everything": {LARGE: True, **EVERYTHING},
}


@functools.cache
def helm() -> Path:
    found = binaries.find("helm")
    if found is None:
        parts.missing("helm", "helm is not built yet: run `make binaries`")
    return found


def run(*arguments: str | Path, values: Values | None = None) -> subprocess.CompletedProcess[str]:
    """`helm ARGUMENTS`, with `values` as one more file; the key LARGE puts values-large.yaml before it."""
    command: list[str | Path] = [helm(), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        if values is not None:
            given = dict(values)
            if given.pop(LARGE, False):
                command += ["--values", CHART / LARGE]
            # JSON is YAML, and keeps null, numbers and texts apart.
            path = Path(folder) / "values.yaml"
            path.write_text(json.dumps(given), encoding="utf-8")
            command += ["--values", path]
        environment = {**os.environ, "HELM_CACHE_HOME": folder, "HELM_CONFIG_HOME": folder, "HELM_DATA_HOME": folder}
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


def render(values: Values = TRIAL, *, release: str = "credboard", namespace: str = "ops") -> list[Json]:
    """Every object of `helm template`, hooks included. Raises AssertionError with its words where helm refuses."""
    text = _rendered(json.dumps(values), release, namespace)
    return [document for document in yaml.load_all(text, Loader=_Loader) if document]


#: The one in C is many times as fast.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> str:
    done = run("template", release, CHART, "--namespace", namespace, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(values: Values) -> str:
    """What helm says of values that it does not take."""
    done = run("template", "credboard", CHART, values=values)
    assert done.returncode != 0, "helm takes these values"
    return done.stderr


def of_kind(documents: Sequence[Json], *kinds: str) -> list[Json]:
    return [document for document in documents if document["kind"] in kinds]


def is_of_cluster(document: Json) -> bool:
    """Whether it is in no Namespace."""
    return bool(document["kind"].startswith(("Cluster", "ValidatingAdmissionPolicy")))


def named(documents: Sequence[Json], kind: str, end: str = "") -> Json:
    """The only object of `kind` whose name ends so."""
    (found,) = [one for one in of_kind(documents, kind) if one["metadata"]["name"].endswith(end)]
    return found


def pod_templates(documents: Sequence[Json]) -> dict[str, Json]:
    """Name of the object -> {metadata, spec} of the Pods that it makes, or that it is."""
    found = {}
    for one in documents:
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            found[one["metadata"]["name"]] = one["spec"]["template"]
        elif one["kind"] == "Pod":
            found[one["metadata"]["name"]] = {"metadata": one["metadata"], "spec": one["spec"]}
    return found


def environment(container: Json) -> dict[str, str]:
    """The plain variables of a container."""
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}
