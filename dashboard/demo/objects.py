"""Builds the objects of the demo's stories as `kubectl -o json` prints them, with times relative to one moment."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dashboard.demo.admission import timestamp
from dashboard.demo.pods import Outcome, events_of, judge, status_of
from dashboard.demo.status import Json

__all__ = ["Builder", "config_json", "jwt"]

_UIDS = uuid.UUID("6f0f3c3a-8c0f-4c5e-9a53-3f0e7a3c1d55")
_RBAC = "rbac.authorization.k8s.io"


def config_json(auths: Mapping[str, tuple[str, str]]) -> str:
    """The `.dockerconfigjson` that `kubectl create secret docker-registry` writes; the keys are verbatim."""
    entries = {
        key: {"username": name, "password": word, "auth": base64.b64encode(f"{name}:{word}".encode()).decode()}
        for key, (name, word) in auths.items()
    }
    return json.dumps({"auths": entries}, separators=(",", ":"))


def jwt(**claims: Any) -> str:
    """A token with these claims and a signature that nobody made."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    header = json.dumps({"alg": "RS256", "kid": "demo", "typ": "JWT"}, separators=(",", ":")).encode()
    body = json.dumps(claims, separators=(",", ":")).encode()
    return f"{part(header)}.{part(body)}.{part(b'demo-signature-that-nobody-made')}"


def _let_crash(status: Json, words: str, *, since: datetime, last: datetime) -> None:
    """Turn the status of a running Pod into that of one whose first init container fails again and again."""
    first, started = status["initContainerStatuses"][0], timestamp(since)
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "message": words,
        "startedAt": timestamp(last),
        "finishedAt": timestamp(last),
    }
    back_off = f"back-off 5m0s restarting failed container={first['name']}"
    first |= {"ready": False, "started": False, "restartCount": 9, "lastState": {"terminated": ended}}
    first["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": back_off}}
    for row in status["containerStatuses"]:
        row |= {"ready": False, "started": False, "imageID": "", "state": {"waiting": {"reason": "PodInitializing"}}}
    status["phase"] = "Pending"
    for condition in status["conditions"]:
        if condition["type"] != "PodScheduled":
            condition |= {"status": "False", "lastTransitionTime": started}


class Builder:
    """Collects objects. Every method that makes one appends it and returns it; `finish` gives Pods their status and
    Events.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._objects: list[Json] = []
        self._pods: list[tuple[Json, datetime, bool, str]] = []

    def ago(self, **span: float) -> datetime:
        """A moment before now, as `timedelta` takes it."""
        return self.now - timedelta(**span)

    def ahead(self, **span: float) -> str:
        """A moment after now, printed."""
        return timestamp(self.now + timedelta(**span))

    def _add(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        version: str = "v1",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        created: datetime | None = None,
        **content: Any,
    ) -> Json:
        metadata: Json = {"name": name} | ({"namespace": namespace} if namespace else {})
        metadata["uid"] = str(uuid.uuid5(_UIDS, f"{kind}/{namespace}/{name}"))
        metadata["creationTimestamp"] = timestamp(created or self.ago(days=210))
        metadata |= {"labels": dict(labels)} if labels else {}
        metadata |= {"annotations": dict(annotations)} if annotations else {}
        document = {"kind": kind, "apiVersion": version, "metadata": metadata} | content
        self._objects.append(document)
        return document

    def namespace(
        self,
        name: str,
        *,
        profile_of: str = "",
        owner: str = "",
        labels: Mapping[str, str] | None = None,
        pull: Sequence[str] = (),
        storage: Sequence[str] = (),
    ) -> str:
        """A Namespace with its `default` ServiceAccount. `profile_of` makes it a Kubeflow profile of that user,
        `owner` only annotates it.

        `pull` and `storage` are what its ServiceAccounts name in imagePullSecrets and secrets.
        """
        labels = {"kubernetes.io/metadata.name": name} | dict(labels or {})
        annotations = {"credboard.dev/owner": owner} if owner else {}
        if profile_of:
            labels |= {"app.kubernetes.io/part-of": "kubeflow-profile", "istio-injection": "enabled"}
            annotations["owner"] = profile_of
        self._add(
            "Namespace",
            "",
            name,
            labels=labels,
            annotations=annotations,
            spec={"finalizers": ["kubernetes"]},
            status={"phase": "Active"},
        )
        self.account(name, "default", pull=pull, storage=storage)
        if profile_of:
            self.account(name, "default-editor", pull=pull)
            self.account(name, "default-viewer")
            person = {"apiGroup": _RBAC, "kind": "User", "name": profile_of}
            self.binding(
                name, "namespaceAdmin", "kubeflow-admin", person, annotations={"role": "admin", "user": profile_of}
            )
            for account, role in (("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")):
                self.binding(name, account, role, {"kind": "ServiceAccount", "name": account, "namespace": name})
            self._add(
                "Profile", "", name, version="kubeflow.org/v1", spec={"owner": {"kind": "User", "name": profile_of}}
            )
        return name

    def account(self, namespace: str, name: str, *, pull: Sequence[str] = (), storage: Sequence[str] = ()) -> Json:
        """A ServiceAccount."""
        content: Json = {"imagePullSecrets": [{"name": item} for item in pull]} if pull else {}
        content |= {"secrets": [{"name": item} for item in storage]} if storage else {}
        return self._add("ServiceAccount", namespace, name, **content)

    def cluster_role(self, name: str, rules: list[Json]) -> Json:
        """A ClusterRole."""
        return self._add("ClusterRole", "", name, version=f"{_RBAC}/v1", rules=rules)

    def binding(
        self, namespace: str, name: str, role: str, *subjects: Json, annotations: Mapping[str, str] | None = None
    ) -> Json:
        """A RoleBinding to a ClusterRole."""
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
        return self._add(
            "RoleBinding",
            namespace,
            name,
            version=f"{_RBAC}/v1",
            annotations=annotations,
            roleRef=reference,
            subjects=list(subjects),
        )

    def custom(
        self, version: str, kind: str, namespace: str, name: str, spec: Json, *, status: Json | None = None
    ) -> Json:
        """A custom resource."""
        content: Json = {"spec": spec} | ({"status": status} if status else {})
        return self._add(kind, namespace, name, version=version, **content)

    def secret(
        self,
        namespace: str,
        name: str,
        data: Mapping[str, str | bytes],
        *,
        type: str = "Opaque",
        expires: timedelta | None = None,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        age_days: float = 90,
    ) -> str:
        """A Secret; `expires` becomes the annotation credboard.dev/expires-at."""
        notes = dict(annotations or {})
        if expires is not None:
            notes["credboard.dev/expires-at"] = timestamp(self.now + expires)
        raw = {key: value.encode() if isinstance(value, str) else value for key, value in data.items()}
        encoded = {key: base64.b64encode(value).decode() for key, value in raw.items()}
        self._add(
            "Secret",
            namespace,
            name,
            annotations=notes,
            labels=labels,
            created=self.ago(days=age_days),
            type=type,
            data=encoded,
        )
        return name

    def pull_secret(
        self,
        namespace: str,
        name: str,
        auths: Mapping[str, tuple[str, str]],
        *,
        expires: timedelta | None = None,
        age_days: float = 90,
    ) -> str:
        """A Secret of type kubernetes.io/dockerconfigjson."""
        data = {".dockerconfigjson": config_json(auths)}
        return self.secret(
            namespace, name, data, type="kubernetes.io/dockerconfigjson", expires=expires, age_days=age_days
        )

    def pod(
        self,
        namespace: str,
        name: str,
        image: str,
        *,
        owner: tuple[str, str] | None = None,
        account: str = "default",
        pull: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        env: Sequence[Json] = (),
        env_from: Sequence[Json] = (),
        volumes: Sequence[tuple[Json, str]] = (),
        init: Iterable[Json] = (),
        sidecars: Iterable[Json] = (),
        container: str = "main",
        since: datetime | None = None,
        running: bool = False,
        crash: str = "",
    ) -> Json:
        """A Pod. `pull` None means what its ServiceAccount gives; `volumes` are (volume, mount path); `running` skips
        the question whether it could.

        `owner` is (kind, name) of the controller. `crash` is the last word of its first init container, which keeps
        failing.
        """
        since = since or self.ago(days=6)
        main: Json = {"name": container, "image": image, "imagePullPolicy": "IfNotPresent", "resources": {}}
        main |= {"env": list(env)} if env else {}
        main |= {"envFrom": list(env_from)} if env_from else {}
        main |= (
            {
                "volumeMounts": [
                    {"name": volume["name"], "mountPath": path, "readOnly": True} for volume, path in volumes
                ]
            }
            if volumes
            else {}
        )
        spec: Json = {
            "serviceAccountName": account,
            "serviceAccount": account,
            "nodeName": "worker-2",
            "restartPolicy": "Always",
        }
        spec |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "containers": [main, *sidecars]}
        if initial := list(init):
            spec["initContainers"] = initial
        spec |= {"volumes": [volume for volume, _ in volumes]} if volumes else {}
        secrets = [{"name": item} for item in pull] if pull is not None else self._linked(namespace, account)
        spec |= {"imagePullSecrets": secrets} if secrets else {}
        document = self._add("Pod", namespace, name, labels=labels, created=since, spec=spec)
        if owner is not None:
            kind, owner_name = owner
            version = {
                "ReplicaSet": "apps/v1",
                "StatefulSet": "apps/v1",
                "Workflow": "argoproj.io/v1alpha1",
                "Job": "batch/v1",
            }[kind]
            identity = {
                "apiVersion": version,
                "kind": kind,
                "name": owner_name,
                "uid": str(uuid.uuid5(_UIDS, f"{kind}/{namespace}/{owner_name}")),
            }
            document["metadata"]["ownerReferences"] = [identity | {"controller": True, "blockOwnerDeletion": True}]
            if kind == "ReplicaSet":
                document["metadata"]["generateName"] = f"{owner_name}-"
        self._pods.append((document, since, running, crash))
        return document

    def _linked(self, namespace: str, account: str) -> list[Json]:
        for document in self._objects:
            metadata = document["metadata"]
            if document["kind"] == "ServiceAccount" and (metadata["namespace"], metadata["name"]) == (
                namespace,
                account,
            ):
                return [dict(item) for item in document.get("imagePullSecrets") or []]
        return []

    def finish(self) -> list[Json]:
        """All objects in the order they can be created in, each Pod with the status that it would have on a real node,
        and with Events.
        """
        secrets: dict[str, dict[str, Json]] = {}
        for document in self._objects:
            if document["kind"] == "Secret":
                secrets.setdefault(document["metadata"]["namespace"], {})[document["metadata"]["name"]] = document
        for pod, since, running, crash in self._pods:
            outcome = Outcome() if running else judge(pod, secrets.get(pod["metadata"]["namespace"], {}))
            pod["status"] = status_of(pod, outcome, since=since)
            if crash:
                _let_crash(pod["status"], crash, since=since, last=self.ago(minutes=3))
            elif not outcome.runs:
                minutes = max((self.now - since).total_seconds() / 60, 1)
                # Back-off grows to five minutes, and an Event lives for an hour.
                first, count = max(since, self.ago(minutes=55)), int(4 + min(minutes, 55) / 5)
                self._objects += events_of(pod, outcome, since=first, last=self.ago(seconds=40), count=count)
        return list(self._objects)
