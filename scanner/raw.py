"""The parts of Kubernetes objects that a scan reads, decoded straight from the API server's JSON.

Only these fields are decoded; everything else is skipped by the parser without building Python objects. `Secret.data`
holds real values: objects of this module live only between `cluster.py` and `build_snapshot`, and are never stored,
logged or passed on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

#: Resources a scan wants from each namespace, by the plural name of the API. A namespace whose list of one of the
#: first three was refused is `unknown` where a check needs it; without the others a scan knows less, and says so.
RESOURCES: Final = ("secrets", "pods", "serviceaccounts", "events", "rolebindings")


class Raw(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """Base of all structs here: immutable, invisible to the garbage collector, camelCase on the wire."""


class OwnerReference(Raw):
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class ObjectMeta(Raw):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class NamespaceStatus(Raw):
    phase: str = ""


class Namespace(Raw):
    metadata: ObjectMeta
    status: NamespaceStatus | None = None


class Secret(Raw):
    metadata: ObjectMeta
    type: str = "Opaque"
    data: dict[str, bytes] | None = None

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name})"


class LocalObjectReference(Raw):
    name: str = ""


class ServiceAccount(Raw):
    metadata: ObjectMeta
    image_pull_secrets: list[LocalObjectReference] | None = None
    secrets: list[LocalObjectReference] | None = None


class SecretKeySelector(Raw):
    name: str = ""
    key: str = ""
    optional: bool | None = None


class EnvVarSource(Raw):
    secret_key_ref: SecretKeySelector | None = None


class EnvVar(Raw):
    value_from: EnvVarSource | None = None


class SecretEnvSource(Raw):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Raw):
    secret_ref: SecretEnvSource | None = None


class Container(Raw):
    name: str = ""
    image: str = ""
    env: list[EnvVar] | None = None
    env_from: list[EnvFromSource] | None = None


class KeyToPath(Raw):
    key: str = ""


class SecretVolumeSource(Raw):
    secret_name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class SecretProjection(Raw):
    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class VolumeProjection(Raw):
    secret: SecretProjection | None = None


class ProjectedVolumeSource(Raw):
    sources: list[VolumeProjection] | None = None


class Volume(Raw):
    name: str = ""
    secret: SecretVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None


class PodSpec(Raw):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    service_account_name: str = ""


class Waiting(Raw):
    reason: str = ""
    message: str = ""


class Running(Raw):
    started_at: datetime | None = None


class Terminated(Raw):
    started_at: datetime | None = None


class ContainerState(Raw):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Raw):
    name: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(Raw):
    phase: str = ""
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class Pod(Raw):
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus | None = None


class ObjectReference(Raw):
    kind: str = ""
    name: str = ""
    uid: str = ""


class EventSeries(Raw):
    count: int = 0
    last_observed_time: datetime | None = None


class Event(Raw):
    metadata: ObjectMeta
    involved_object: ObjectReference
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None


class Subject(Raw):
    kind: str = ""
    name: str = ""


class RoleRef(Raw):
    kind: str = ""
    name: str = ""


class RoleBinding(Raw):
    metadata: ObjectMeta
    subjects: list[Subject] | None = None
    role_ref: RoleRef


class NamespaceObjects(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one scan read of one namespace.

    `unreadable` maps a resource (as in `RESOURCES`) to why it could not be read: "forbidden", or the sentence of the
    error. A resource that is in there has an empty list here, which says nothing about the cluster.
    """

    namespace: Namespace
    secrets: list[Secret] = []
    service_accounts: list[ServiceAccount] = []
    pods: list[Pod] = []
    events: list[Event] = []
    role_bindings: list[RoleBinding] = []
    profile_owner: str = ""
    unreadable: dict[str, str] = {}
