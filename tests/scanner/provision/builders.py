"""A Namespace with ServiceAccounts and Pods, and the pull Secret that is created there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scanner.cluster import Cluster as Api
from scanner.models import AuditEntry, Namespace
from scanner.provision import Created, Decision, Plan, create_pull_secret

TYPE = "kubernetes.io/dockerconfigjson"
PASSWORD = "Tr0ub4dor-and-3"
DATA = {".dockerconfigjson": json.dumps({"auths": {"quay.io": {"username": "u", "password": PASSWORD}}}).encode()}
NAME = "team-a"
BACK_OFF = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}


def account(name: str, *secrets: str) -> dict[str, Any]:
    return {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": NAME},
        "imagePullSecrets": [{"name": secret} for secret in secrets],
    }


def pod(
    name: str, *, by: str = "", image: str = "quay.io/team/app:1", state: dict[str, Any] = BACK_OFF
) -> dict[str, Any]:
    kind, _, owner = by.partition("/")
    references = [{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": NAME, "ownerReferences": references if by else []},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "image": image, "state": state}]},
    }


def create(
    api: Any,
    namespace: Namespace,
    *accounts: str,
    name: str = "regcred",
    restart: bool = False,
    permitted: Callable[[], Decision] = lambda: Decision(allowed=True),
) -> Created:
    plan = Plan(
        name=name,
        type=TYPE,
        credential="registry/quay.io",
        registry="quay.io",
        service_accounts=accounts,
        restart=restart,
    )
    return create_pull_secret(api, namespace, plan, DATA, actor="grace@example.com", permitted=permitted)


def secrets(api: Api) -> list[str]:
    return [secret.metadata.name for secret in api.namespace(NAME).secrets]


def links(api: Api) -> dict[str, list[str]]:
    return {
        found.metadata.name: [reference.name for reference in found.image_pull_secrets or ()]
        for found in api.service_accounts(NAME)
    }


def only_entry() -> AuditEntry:
    return AuditEntry.objects.get()
