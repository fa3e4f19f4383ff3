"""How a Pod of the demo fares: which of its Secrets are missing, which images it may pull, and the status and Events
that follow.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dashboard.demo.admission import timestamp
from dashboard.demo.registries import pull_error
from dashboard.demo.status import Json
from scanner.keyring import Keyring, MalformedPullSecret

__all__ = ["Outcome", "Trouble", "events_of", "judge", "status_of"]

NODE: Final = "worker-2"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why one container (or, with `kind` "mount", the whole Pod) does not start."""

    kind: str  # pull, config or mount
    message: str
    image: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that keeps a Pod from running; nothing when it runs."""

    troubles: tuple[Trouble, ...] = ()
    missing_pull_secrets: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        return not self.troubles


def judge(pod: Json, secrets: Mapping[str, Json]) -> Outcome:
    """What the kubelet would make of a Pod, given the Secrets of its Namespace by name."""
    spec = pod["spec"]
    named = [reference["name"] for reference in spec.get("imagePullSecrets") or [] if reference.get("name")]
    missing = tuple(name for name in named if name not in secrets)
    mounts = tuple(_mount_troubles(spec, secrets))
    if mounts:
        return Outcome(mounts, missing)
    pairs = [(secrets[name].get("type", "Opaque"), _decoded(secrets[name])) for name in named if name in secrets]
    broken = ""
    keyring = Keyring.from_secrets([])
    try:
        keyring = Keyring.from_secrets(pairs)
    except MalformedPullSecret:
        broken = "illegal base64 data at input byte 4"
    # An init container that cannot start keeps all that comes after it waiting.
    for group in ("initContainers", "containers"):
        troubles: list[Trouble] = []
        for container in spec.get(group) or []:
            image, name = container["image"], container["name"]
            credentials = [(match.username, match.password) for match in keyring.lookup(image)] if not broken else []
            if error := broken or pull_error(image, pod["metadata"]["namespace"], credentials):
                troubles.append(Trouble("pull", error, image, name))
            elif error := _config_error(container, secrets, pod["metadata"]["namespace"]):
                troubles.append(Trouble("config", error, image, name))
        if troubles:
            return Outcome(tuple(troubles), missing)
    return Outcome((), missing)


def _decoded(secret: Json) -> dict[str, bytes]:
    data: dict[str, bytes] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            data[key] = base64.b64decode(value)
        except (binascii.Error, ValueError):
            data[key] = b""
    return data


def _mount_troubles(spec: Json, secrets: Mapping[str, Json]) -> Iterator[Trouble]:
    for volume in spec.get("volumes") or []:
        sources = [volume["secret"] | {"name": volume["secret"].get("secretName")}] if volume.get("secret") else []
        sources += [
            source["secret"] for source in (volume.get("projected") or {}).get("sources") or [] if source.get("secret")
        ]
        for source in sources:
            secret = secrets.get(source.get("name") or "")
            lead = f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
            if source.get("optional"):
                continue
            if secret is None:
                yield Trouble("mount", f'{lead}secret "{source.get("name")}" not found')
                continue
            for item in source.get("items") or []:
                if item["key"] not in (secret.get("data") or {}):
                    yield Trouble("mount", f"{lead}references non-existent secret key: {item['key']}")


def _config_error(container: Json, secrets: Mapping[str, Json], namespace: str) -> str:
    references = [
        source["secretRef"] | {"key": None} for source in container.get("envFrom") or [] if source.get("secretRef")
    ]
    references += [
        variable["valueFrom"]["secretKeyRef"]
        for variable in container.get("env") or []
        if (variable.get("valueFrom") or {}).get("secretKeyRef")
    ]
    for reference in references:
        secret = secrets.get(reference.get("name") or "")
        if reference.get("optional"):
            continue
        if secret is None:
            return f'secret "{reference.get("name")}" not found'
        if reference["key"] is not None and reference["key"] not in (secret.get("data") or {}):
            return f"couldn't find key {reference['key']} in Secret {namespace}/{reference['name']}"
    return ""


def status_of(pod: Json, outcome: Outcome, *, since: datetime, backing_off: bool = True) -> Json:
    """The `status` of a Pod that has been like this since then. `backing_off` chooses between the two faces of a
    failing pull.
    """
    spec, at = pod["spec"], timestamp(since)
    troubles = {trouble.container: trouble for trouble in outcome.troubles}
    mounting = any(trouble.kind == "mount" for trouble in outcome.troubles)
    init_names = {container["name"] for container in spec.get("initContainers") or []}
    in_init = mounting or bool(init_names & troubles.keys())
    statuses: dict[str, list[Json]] = {"initContainers": [], "containers": []}
    for group, rows in statuses.items():
        for container in spec.get(group) or []:
            held = mounting or (group == "containers" and in_init)
            rows.append(
                _container_status(
                    container,
                    troubles.get(container["name"]),
                    held=held,
                    group=group,
                    init=in_init and bool(init_names),
                    at=at,
                    backing_off=backing_off,
                )
            )
    ready = "True" if outcome.runs else "False"
    conditions = [
        {"type": "Initialized", "status": "False" if in_init and init_names else "True", "lastTransitionTime": at},
        {"type": "Ready", "status": ready, "lastTransitionTime": at},
        {"type": "ContainersReady", "status": ready, "lastTransitionTime": at},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at},
    ]
    status: Json = {
        "phase": "Running" if outcome.runs else "Pending",
        "conditions": conditions,
        "startTime": at,
        "hostIP": "10.0.0.12",
        "qosClass": "BestEffort",
        "containerStatuses": statuses["containers"],
    }
    return status | ({"initContainerStatuses": statuses["initContainers"]} if statuses["initContainers"] else {})


def _container_status(
    container: Json, trouble: Trouble | None, *, held: bool, group: str, init: bool, at: str, backing_off: bool
) -> Json:
    image = container["image"]
    row: Json = {
        "name": container["name"],
        "image": image,
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
    }
    if trouble is not None:
        reason, message = "CreateContainerConfigError", trouble.message
        if trouble.kind == "pull":
            reason = "ImagePullBackOff" if backing_off else "ErrImagePull"
            message = (
                f'Back-off pulling image "{image}": ErrImagePull: {trouble.message}' if backing_off else trouble.message
            )
        return row | {"state": {"waiting": {"reason": reason, "message": message}}, "lastState": {}}
    if held:
        return row | {
            "state": {"waiting": {"reason": "PodInitializing" if init else "ContainerCreating"}},
            "lastState": {},
        }
    digest = hashlib.sha256(image.encode()).hexdigest()
    row |= {
        "imageID": f"{image.partition('@')[0].rpartition(':')[0] or image}@sha256:{digest}",
        "lastState": {},
        "ready": True,
    }
    if group == "initContainers":
        done = {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}
        return row | {"state": {"terminated": done}}
    return row | {"started": True, "state": {"running": {"startedAt": at}}}


def events_of(pod: Json, outcome: Outcome, *, since: datetime, last: datetime, count: int = 1) -> list[Json]:
    """The Events that the kubelet and the scheduler would have written about a Pod so far."""
    metadata = pod["metadata"]
    rows = [("Normal", "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {NODE}", "")]
    missing = outcome.missing_pull_secrets
    if missing:
        names = ", ".join(missing)
        text = f"Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        rows.append(("Warning", "FailedToRetrieveImagePullSecret", text, ""))
    for trouble in outcome.troubles:
        where = f"spec.containers{{{trouble.container}}}" if trouble.container else ""
        if trouble.kind == "pull":
            rows += [
                ("Normal", "Pulling", f'Pulling image "{trouble.image}"', where),
                ("Warning", "Failed", f'Failed to pull image "{trouble.image}": {trouble.message}', where),
                ("Warning", "Failed", "Error: ErrImagePull", where),
                ("Normal", "BackOff", f'Back-off pulling image "{trouble.image}"', where),
                ("Warning", "Failed", "Error: ImagePullBackOff", where),
            ]
        elif trouble.kind == "config":
            rows.append(("Warning", "Failed", f"Error: {trouble.message}", where))
        else:
            rows.append(("Warning", "FailedMount", trouble.message, ""))
    if outcome.runs:
        rows += [("Normal", "Started", f"Started container {item['name']}", "") for item in pod["spec"]["containers"]]
    return [
        _event(
            pod,
            *row,
            first=since,
            last=since if row[1] in {"Scheduled", "Started"} else last,
            count=1 if row[1] in {"Scheduled", "Started"} else count,
        )
        for row in rows
    ]


def _event(
    pod: Json, kind: str, reason: str, message: str, where: str, *, first: datetime, last: datetime, count: int
) -> Json:
    """One core/v1 Event about a Pod. Its name depends on what it says, so saying it again updates the same object."""
    metadata = pod["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']}/{reason}/{message}".encode()).hexdigest()[:16]
    involved = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{metadata['name']}.{digest}",
            "namespace": metadata["namespace"],
            "creationTimestamp": timestamp(first),
        },
        "involvedObject": {"kind": "Pod", "apiVersion": "v1"} | involved | ({"fieldPath": where} if where else {}),
        "type": kind,
        "reason": reason,
        "message": message,
        "count": count,
        "firstTimestamp": timestamp(first),
        "lastTimestamp": timestamp(last),
        "source": {"component": "default-scheduler"}
        if reason == "Scheduled"
        else {"component": "kubelet", "host": NODE},
        "reportingComponent": "default-scheduler" if reason == "Scheduled" else "kubelet",
        "reportingInstance": "" if reason == "Scheduled" else NODE,
        "eventTime": None,
    }
