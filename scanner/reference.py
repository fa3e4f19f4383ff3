"""What Pods take from Secrets by environment variables and volumes, and what of it is not there.

The rules are the kubelet's (`kubelet_pods.go` makeEnvironmentVariables, `pkg/volume/secret`, `pkg/volume/projected`):
an `optional` reference may lack the Secret as well as the key; a container waits for its environment, a Pod for its
volumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from scanner.check import Context, Problem, Status
from scanner.columns import SECRETS
from scanner.snapshot import Pod, SecretReference, Snapshot
from scanner.words import listed, of_kind, shown, verb

_HELM_RELEASE: Final = "sh.helm.release.v1."
_PLACES: Final = {
    "env": "env of container",
    "envFrom": "envFrom of container",
    "volume": "volume",
    "projected": "projected volume",
}


@dataclass(slots=True)
class Lack:
    """What Pods miss of one Secret: the Secret itself, or some `keys` of it. `pods` says of each whether it waits."""

    is_absent: bool
    pods: dict[str, bool] = field(default_factory=dict)
    where: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)


def is_left_out(secret: str) -> bool:
    """A scan does not list Helm's release Secrets (`cluster.listing`), so that one is not here says nothing."""
    return secret.startswith(_HELM_RELEASE)


def lacking(snapshot: Snapshot, reference: SecretReference) -> bool:
    """True when a container or volume cannot be made because of `reference`. Asks for readable Secrets."""
    if reference.optional or is_left_out(reference.secret):
        return False
    secret = snapshot.secrets.get(reference.secret)
    return secret is None or (reference.key is not None and reference.key not in secret.keys)


def lacks(context: Context, *, absent: bool) -> Iterator[tuple[str, Lack]]:
    """By name, the Secrets that are not here (`absent`), or those that are here without a key that a Pod needs."""
    found: dict[str, Lack] = {}
    snapshot = context.snapshot
    secrets = snapshot.secrets
    for pod in snapshot.pods:
        if not pod.references or pod.is_finished:
            continue
        for reference in pod.references:
            # Nearly all that a cluster refers to is there, so that is asked first, and without a call.
            secret = secrets.get(reference.secret)
            if secret is not None and (absent or reference.key is None or reference.key in secret.keys):
                continue
            if (secret is None) is absent and lacking(snapshot, reference):
                lack = found.setdefault(reference.secret, Lack(is_absent=absent))
                lack.pods[pod.name] = lack.pods.get(pod.name, False) or _waits(pod, reference)
                lack.where[f"{_PLACES[reference.via]} {reference.where}"] = None
                if not absent and reference.key is not None:
                    lack.keys[reference.key] = None
    yield from found.items()


def _waits(pod: Pod, reference: SecretReference) -> bool:
    if reference.via in ("env", "envFrom"):
        # One that ran before waits again when it was restarted after the Secret had changed.
        return any(
            not container.started or container.waiting_reason == "CreateContainerConfigError"
            for container in pod.containers
            if container.name == reference.where
        )
    return not pod.has_started


def problem(name: str, lack: Lack) -> Problem:
    """Critical while a Pod waits for what is missing of the Secret `name`, else latent."""
    waiting = [pod for pod, waits in lack.pods.items() if waits]
    pods = waiting or list(lack.pods)
    if lack.is_absent:
        what = f"the Secret {shown(name)}, which is not here"
    else:
        keys = list(lack.keys)
        what = f"{verb(keys, 'the key', 'the keys')} {listed(keys)} of Secret {shown(name)}, "
        what += verb(keys, "which is not in it", "which are not in it")
    message = f"{of_kind('Pod', pods)} {verb(pods, 'needs', 'need')} {what}"
    if not waiting:
        message += "; it would not start again" if len(pods) == 1 else "; they would not start again"
    details: dict[str, Any] = {
        "secret": name,
        "keys": [shown(key) for key in lack.keys][:20],
        "where": [shown(where) for where in lack.where][:20],
        "pods": pods[:50],
        "pod_count": len(pods),
    }
    return Problem(
        object=f"Secret/{name}",
        status=Status.CRITICAL if waiting else Status.WARNING,
        reason="missing" if waiting else "latent",
        message=f"{message}.",
        credential=SECRETS,
        details=details,
    )
