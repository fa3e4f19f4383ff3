"""Reading Pods, and the ServiceAccounts and Events beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Final

import msgspec

from scanner import raw
from scanner.image import InvalidImage, parse_image
from scanner.literal import literal_credentials
from scanner.snapshot.picture import Container, Event, Pod, Role, SecretReference, ServiceAccount, Via


def read_service_account(account: raw.ServiceAccount) -> ServiceAccount:
    return ServiceAccount(name=account.metadata.name, image_pull_secrets=_names(account.image_pull_secrets))


def _names(references: list[raw.LocalObjectReference] | None) -> tuple[str, ...]:
    # The kubelet skips an entry without a name in silence (kubelet_pods.go, getPullSecretsForPod).
    return tuple([reference.name for reference in references if reference.name]) if references else ()


def read_event(event: raw.Event) -> Event:
    series = event.series
    last_at = (series and series.last_observed_time) or event.last_timestamp or event.event_time
    count = (series.count if series else event.count) or 1
    return Event(reason=event.reason, message=event.message, last_at=last_at, count=count)


def read_pod(pod: raw.Pod, events: Iterable[Event], secret_names: frozenset[str]) -> Pod:
    spec, status, metadata = pod.spec, pod.status or _NO_STATUS, pod.metadata
    controller = ""
    for owner in metadata.owner_references or ():
        if owner.controller:
            controller = f"{owner.kind}/{owner.name}"
    containers: list[Container] = []
    if spec.init_containers:
        _add_containers(containers, "init", spec.init_containers, status.init_container_statuses)
    if spec.containers:
        _add_containers(containers, "container", spec.containers, status.container_statuses)
    if spec.ephemeral_containers:
        _add_containers(containers, "ephemeral", spec.ephemeral_containers, status.ephemeral_container_statuses)
    if spec.volumes:
        _add_image_volumes(containers, spec.volumes)
    return Pod(
        name=metadata.name,
        service_account=spec.service_account_name or "default",
        image_pull_secrets=_names(spec.image_pull_secrets),
        containers=tuple(containers),
        references=_references(spec),
        created_at=metadata.creation_timestamp,
        phase=status.phase,
        controller=controller,
        events=tuple(sorted(events, key=lambda event: event.last_at or _LONG_AGO, reverse=True)) if events else (),
        literals=literal_credentials(pod, secret_names),
        is_leaving=metadata.deletion_timestamp is not None,
    )


_NO_STATUS: Final = raw.PodStatus()
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


# A scan comes through here for every container of a cluster, so these are loops, not expressions that read better.
def _add_containers(
    containers: list[Container], role: Role, specs: list[raw.Container], statuses: list[raw.ContainerStatus] | None
) -> None:
    by_name = {status.name: status for status in statuses} if statuses else {}
    for spec in specs:
        started, waiting = False, None
        if (status := by_name.get(spec.name)) is not None:
            if (state := status.state) is not None:
                started = state.running is not None or state.terminated is not None
                waiting = state.waiting
            if not started and (last := status.last_state) is not None:
                started = last.terminated is not None
        containers.append(
            Container(
                name=spec.name,
                role=role,
                image=spec.image,
                started=started,
                waiting_reason=waiting.reason if waiting else "",
                message=waiting.message if waiting else "",
            )
        )


def _add_image_volumes(containers: list[Container], volumes: list[raw.Volume]) -> None:
    """Images that are mounted are pulled like those of containers, with the same Secrets; where that fails, it is the
    containers with the volume that wait with its error (`toKubeContainerImageVolumes`)."""
    for volume in volumes:
        if volume.image is None or not volume.image.reference:
            continue
        image = volume.image.reference
        waiting = None
        for place, container in enumerate(containers):
            if _tells_of(container.message, image) and not _tells_of(container.message, container.image):
                waiting = container
                containers[place] = msgspec.structs.replace(container, waiting_reason="ContainerCreating", message="")
        containers.append(
            Container(
                name=f"volume {volume.name}",
                role="volume",
                image=image,
                started=any(container.started and container.role == "container" for container in containers),
                waiting_reason=waiting.waiting_reason if waiting else "",
                message=waiting.message if waiting else "",
            )
        )


def _tells_of(message: str, image: str) -> bool:
    """Runtimes name an image as it is written or with its registry."""
    if not message or image in message:
        return bool(message)
    try:
        return parse_image(image).name in message
    except InvalidImage:
        return False


def _references(spec: raw.PodSpec) -> tuple[SecretReference, ...]:
    found: list[SecretReference] = []
    for container in chain(spec.init_containers or (), spec.containers or (), spec.ephemeral_containers or ()):
        for variable in container.env or ():
            origin = variable.value_from
            if origin is not None and (selector := origin.secret_key_ref) is not None and selector.name:
                found.append(_reference(selector.name, selector.key, "env", container.name, selector.optional))
        for whole in container.env_from or ():
            if (source := whole.secret_ref) is not None and source.name:
                found.append(_reference(source.name, None, "envFrom", container.name, source.optional))
    for volume in spec.volumes or ():
        if (mounted := volume.secret) is not None and mounted.secret_name:
            for key in _keys(mounted.items):
                found.append(_reference(mounted.secret_name, key, "volume", volume.name, mounted.optional))
        if volume.projected:
            for projection in volume.projected.sources or ():
                projected = projection.secret
                if projected and projected.name:
                    for key in _keys(projected.items):
                        found.append(_reference(projected.name, key, "projected", volume.name, projected.optional))
    return tuple(found)


def _keys(items: list[raw.KeyToPath] | None) -> list[str] | list[None]:
    return [item.key for item in items] if items else [None]


# The same few names stand in all Pods of an application; the API server bounds each of them.
@lru_cache(maxsize=8192)
def _reference(secret: str, key: str | None, via: Via, where: str, optional: bool | None) -> SecretReference:
    return SecretReference(secret=secret, key=key, via=via, where=where, optional=bool(optional))
