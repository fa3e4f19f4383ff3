from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.credential import column
from scanner.snapshot import Pod, SecretReference
from scanner.words import listed, of_kind, shown, verb

_PLACES: Final = {
    "env": "env of container",
    "envFrom": "envFrom of container",
    "volume": "volume",
    "projected": "projected volume",
}


@dataclass(slots=True)
class _Lack:
    """What is missing of one Secret: all of it, or the `keys`."""

    is_absent: bool
    pods: dict[str, bool] = field(default_factory=dict)
    where: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)


@check("PO02", "missing-referenced-secret", needs={"secrets", "pods"})
def missing_referenced_secret(context: Context) -> Iterator[Problem]:
    """A Pod takes an environment variable or a volume from a Secret, or from a key of it, that is not there.

    Why it matters: the container is not made (CreateContainerConfigError), or the Pod waits for the volume
    (ContainerCreating) and only an Event says why. A Pod that runs already shows nothing until it is made again.
    References with `optional: true` are none of this check's business.
    How to fix: create the Secret in this Namespace with the key that is named, or correct the manifest.
    """
    lacks: dict[str, _Lack] = {}
    for pod in context.snapshot.pods:
        if pod.references and not pod.is_finished:
            for reference in pod.references:
                if not reference.optional:
                    _note(context, pod, reference, lacks)
    for name, lack in lacks.items():
        yield _problem(name, lack)


def _note(context: Context, pod: Pod, reference: SecretReference, lacks: dict[str, _Lack]) -> None:
    secret = context.snapshot.secrets.get(reference.secret)
    if secret is not None and (reference.key is None or reference.key in secret.keys):
        return
    lack = lacks.setdefault(reference.secret, _Lack(is_absent=secret is None))
    lack.pods[pod.name] = lack.pods.get(pod.name, False) or _waits(pod, reference)
    lack.where[f"{_PLACES[reference.via]} {reference.where}"] = None
    if secret is not None and reference.key is not None:
        lack.keys[reference.key] = None


def _waits(pod: Pod, reference: SecretReference) -> bool:
    """A container waits for what its environment names, the whole Pod for its volumes."""
    if reference.via in ("env", "envFrom"):
        return any(not container.started for container in pod.containers if container.name == reference.where)
    return not pod.has_started


def _problem(name: str, lack: _Lack) -> Problem:
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
    return Problem(
        object=f"Secret/{name}",
        status=Status.CRITICAL if waiting else Status.WARNING,
        reason="missing" if waiting else "latent",
        message=f"{message}.",
        credential=column("secret", name),
        details={
            "secret": name,
            "keys": [shown(key) for key in lack.keys][:20],
            "where": [shown(where) for where in lack.where][:20],
            "pods": pods[:50],
            "pod_count": len(pods),
        },
    )
