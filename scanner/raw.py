"""The parts of Kubernetes objects that a scan reads, decoded straight from the API server's JSON.

Only these fields are decoded; everything else is skipped by the parser without building Python objects. `Secret.data`
holds real values, and so may a container's environment and arguments: objects of this module live only between
`cluster.py` and `build_snapshot`, and are never stored, logged or passed on.
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


class OwnerReference(Raw, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Owned(Raw, frozen=True, kw_only=True):
    """Stands for whatever an object holds there."""


class OwnedFields(Raw, frozen=True, kw_only=True):
    """The fields that a manager owns; of a Secret its `data` matters."""

    data: Owned | None = msgspec.field(default=None, name="f:data")


class ManagedFields(Raw, frozen=True, kw_only=True):
    time: datetime | None = None
    fields_v1: OwnedFields | None = msgspec.field(default=None, name="fieldsV1")


class Meta(Raw, frozen=True, kw_only=True):
    """What is read of the metadata of objects of which there are many, and whose last write does not matter."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class ObjectMeta(Meta, frozen=True, kw_only=True):
    managed_fields: list[ManagedFields] | None = None


class NamespaceStatus(Raw, frozen=True, kw_only=True):
    phase: str = ""


class Namespace(Raw, frozen=True, kw_only=True):
    metadata: ObjectMeta
    status: NamespaceStatus | None = None


class Secret(Raw, frozen=True, kw_only=True):
    metadata: ObjectMeta
    type: str = "Opaque"
    data: dict[str, bytes] | None = None

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name})"


class LocalObjectReference(Raw, frozen=True, kw_only=True):
    name: str = ""


class ServiceAccount(Raw, frozen=True, kw_only=True):
    metadata: Meta
    image_pull_secrets: list[LocalObjectReference] | None = None
    secrets: list[LocalObjectReference] | None = None


class SecretKeySelector(Raw, frozen=True, kw_only=True):
    name: str = ""
    key: str = ""
    optional: bool | None = None


class EnvVarSource(Raw, frozen=True, kw_only=True):
    secret_key_ref: SecretKeySelector | None = None


class EnvVar(Raw, frozen=True, kw_only=True):
    name: str = ""
    value: str = ""
    value_from: EnvVarSource | None = None

    def __repr__(self) -> str:
        return f"EnvVar({self.name})"


class SecretEnvSource(Raw, frozen=True, kw_only=True):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Raw, frozen=True, kw_only=True):
    secret_ref: SecretEnvSource | None = None


class Container(Raw, frozen=True, kw_only=True):
    name: str = ""
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFromSource] | None = None

    def __repr__(self) -> str:
        return f"Container({self.name})"


class KeyToPath(Raw, frozen=True, kw_only=True):
    key: str = ""


class SecretVolumeSource(Raw, frozen=True, kw_only=True):
    secret_name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class SecretProjection(Raw, frozen=True, kw_only=True):
    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class VolumeProjection(Raw, frozen=True, kw_only=True):
    secret: SecretProjection | None = None


class ProjectedVolumeSource(Raw, frozen=True, kw_only=True):
    sources: list[VolumeProjection] | None = None


class ImageVolumeSource(Raw, frozen=True, kw_only=True):
    reference: str = ""


class Volume(Raw, frozen=True, kw_only=True):
    name: str = ""
    image: ImageVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None


class PodSpec(Raw, frozen=True, kw_only=True):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    service_account_name: str = ""


class Waiting(Raw, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""


class Running(Raw, frozen=True, kw_only=True):
    """That it runs is all that is asked."""


class Terminated(Raw, frozen=True, kw_only=True):
    """That it ran is all that is asked."""


class ContainerState(Raw, frozen=True, kw_only=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Raw, frozen=True, kw_only=True):
    name: str = ""
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(Raw, frozen=True, kw_only=True):
    phase: str = ""
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class Pod(Raw, frozen=True, kw_only=True):
    metadata: Meta
    spec: PodSpec
    status: PodStatus | None = None


class ObjectReference(Raw, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    uid: str = ""


class EventSeries(Raw, frozen=True, kw_only=True):
    count: int = 0
    last_observed_time: datetime | None = None


class Event(Raw, frozen=True, kw_only=True):
    metadata: Meta
    involved_object: ObjectReference
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None


class Subject(Raw, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""


class RoleRef(Raw, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""


class RoleBinding(Raw, frozen=True, kw_only=True):
    metadata: Meta
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
    profile_owner: Subject | None = None
    unreadable: dict[str, str] = {}
