from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.columns import SECRETS
from scanner.pull_failure import Cause, PullFailure, explain
from scanner.reference import is_left_out, lacking
from scanner.snapshot import Pod
from scanner.words import listed, shown, verb, without_secrets

#: Worst first: what names a Secret or key, what names a volume, what tells nothing.
_SECRET: Final = (
    Cause.MOUNT_SECRET_MISSING,
    Cause.ENV_SECRET_MISSING,
    Cause.MOUNT_KEY_MISSING,
    Cause.ENV_KEY_MISSING,
)
_CAUSES: Final = (*_SECRET, Cause.UNKNOWN, Cause.MOUNT_TIMEOUT)
#: The kubelet tries again at growing intervals of up to 122 s (`nestedpendingoperations`); what fails while a Pod is
#: younger than that often passes by itself.
_PATIENCE: Final = timedelta(minutes=2)
_VOLUME: Final = re.compile(r'for volume \\?"([^"\\]{1,253})')
_UNMOUNTED: Final = re.compile(r"unmounted volumes=\[([^\]]{0,4096})\]")
_CONFIG_MAP: Final = re.compile(r"config ?maps? \\?\"|non-existent config key|in configmap", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Told:
    message: str
    reason: str
    failure: PullFailure
    volumes: tuple[str, ...]


@check("PO04", "mount-failing", needs={"pods"}, wants={"secrets", "events"})
def mount_failing(context: Context) -> Iterator[Problem]:
    """A Pod waits for a volume or for its environment, and its Secrets as we see them do not explain it.

    Why it matters: the Pod stays in ContainerCreating, and only an Event says why. Some volumes take a Secret in ways
    of their own (a CSI driver's nodePublishSecretRef, NFS or cloud storage), so that nothing in the Pod's spec shows
    what is missing.
    How to fix: as the message says. What one of the Pod's own references lacks is told by PO02 and PO03; what passes by
    itself, a ConfigMap that is missing and a full disk are none of this check's business.
    """
    for pod in context.snapshot.pods:
        if not pod.is_finished and not pod.has_started and (told := _worst(context, pod)):
            yield _problem(pod, told)


def _worst(context: Context, pod: Pod) -> _Told | None:
    unexplained = [one for one in _all(pod) if not _is_explained(context, pod, one)]
    return min(unexplained, key=lambda one: _CAUSES.index(one.failure.cause), default=None)


def _all(pod: Pod) -> Iterator[_Told]:
    for container in pod.containers:
        if container.waiting_reason == "CreateContainerConfigError":
            failure = explain(container.message, container.waiting_reason)
            if failure.cause in _SECRET:  # else it is about users, sub-paths or ConfigMaps
                yield _Told(container.message, container.waiting_reason, failure, ())
    for event in pod.events:
        if event.reason == "FailedMount" and not _CONFIG_MAP.search(event.message[:16_384]):
            failure = explain(event.message, event.reason)
            if failure.cause in _CAUSES:
                yield _Told(event.message, event.reason, failure, _volumes(event.message[:16_384]))


def _volumes(message: str) -> tuple[str, ...]:
    if found := _UNMOUNTED.search(message):
        return tuple(found[1].replace(",", " ").split())
    return tuple(dict.fromkeys(_VOLUME.findall(message)))


def _is_explained(context: Context, pod: Pod, told: _Told) -> bool:
    """True for what another check says, what the next try of the kubelet ends, and what is too young to count."""
    snapshot, secret = context.snapshot, told.failure.secret
    if told.failure.cause not in _SECRET and pod.created_at and context.now - pod.created_at < _PATIENCE:
        return True
    if "secrets" in snapshot.unreadable:
        return False
    of_volumes = [ref for ref in pod.references if ref.via in ("volume", "projected") and ref.where in told.volumes]
    if any(lacking(snapshot, reference) for reference in of_volumes):
        return True
    if told.failure.cause not in _SECRET:
        return False
    if secret is None:
        return bool(of_volumes)  # the key is there by now
    if is_left_out(secret):
        return False
    # Of a Secret that the Pod does not name we only know whether it is there.
    return secret in snapshot.secrets or any(reference.secret == secret for reference in pod.references)


def _problem(pod: Pod, told: _Told) -> Problem:
    failure = told.failure
    is_secret = failure.cause in _SECRET
    if is_secret:
        why = failure.detail.rstrip(".")
    elif told.volumes:
        why = f"{verb(told.volumes, 'the volume', 'the volumes')} {listed(told.volumes)} cannot be mounted"
        why += ", and no Event says why" if failure.cause is Cause.MOUNT_TIMEOUT else "; the message says more"
    else:
        why = "one of its volumes cannot be mounted; the message says more"
    return Problem(
        object=f"Pod/{pod.name}",
        status=Status.CRITICAL if is_secret else Status.WARNING,
        reason="missing" if is_secret else "failing",
        message=f"Pod {shown(pod.name)} cannot start: {shown(why, 600)}.",
        credential=SECRETS if is_secret else "",
        details={
            "pods": [pod.name],
            "pod_count": 1,
            "controller": pod.controller,
            "cause": str(failure.cause),
            "label": failure.cause.label,
            "advice": failure.cause.advice,
            "alternatives": [str(cause) for cause in failure.alternatives],
            "secret": failure.secret or "",
            "key": shown(failure.key or ""),
            "volumes": [shown(name) for name in told.volumes][:20],
            "raw": without_secrets(told.message),
        },
    )
