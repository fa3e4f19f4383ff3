"""The use case that writes: a pull Secret into one Namespace, linked, with the waiting Pods started again, or nothing.

Secret values pass through as an argument and go nowhere else: no row, log, task or exception here can hold one.

The row of the audit is written before the first change and brought up to date after the last, so that a process which
is killed in between leaves "it was interrupted" behind, and not silence.
"""

from __future__ import annotations

import logging
import shlex
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from scanner import cluster as api
from scanner import raw
from scanner.image import InvalidImage, parse_image
from scanner.models import AuditEntry, Cluster, Namespace
from scanner.provision.refusal import Refusal, as_refusal
from scanner.scan import connect as connect_as_scans_do
from scanner.scan import request_scan

__all__ = ["Created", "Decision", "Plan", "Refusal", "WaitingPod", "connect", "create_pull_secret", "waiting_pods"]

log = logging.getLogger(__name__)

ACTION: Final = "create-pull-secret"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "credboard"}
#: Tells our own Secret from another of the same name when the answer to its creation was lost.
REQUEST_ANNOTATION: Final = "credboard.dev/request"
CREATOR_ANNOTATION: Final = "credboard.dev/created-by"

#: Seconds that one answer may take. The page itself waits longer, since undoing takes several.
READ_TIMEOUT: Final = 10

PULL_WAITS: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
#: Controllers that make a deleted Pod again at no cost. A Job counts it as a failure, and a Workflow fails.
RESTARTERS: Final = frozenset({"ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"})

#: Answers after which it is certain that nothing was written. After any other error the write may have happened.
DEFINITE: Final = (
    api.Conflict,
    api.Forbidden,
    api.Invalid,
    api.NotFound,
    api.QuotaExceeded,
    api.Throttled,
    api.Unauthenticated,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether someone may; if not, `words` name the missing right and `remedy` is the command that grants it."""

    allowed: bool
    words: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPod:
    """A Pod that cannot pull its image now. `controller` is "Kind/name", "" without one."""

    name: str
    uid: str
    controller: str

    @property
    def can_restart(self) -> bool:
        return self.controller.partition("/")[0] in RESTARTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made: names only. With `restart` the Pods that wait for an image of `registry` (host with port) are
    deleted if their controllers make them again at no cost."""

    name: str
    type: str
    credential: str
    registry: str = ""
    service_accounts: tuple[str, ...] = ()
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """`at` is when the Secret was there, from which on a scan can see it. `linked` are ServiceAccounts that name it
    because of this; `restarted` Pods that were deleted; `waiting` Pods that were left to try again by themselves.
    `scan_told` is false when the broker is down and the scan follows once it is back."""

    name: str
    uid: str
    at: datetime
    linked: tuple[str, ...]
    restarted: tuple[str, ...]
    waiting: tuple[WaitingPod, ...]
    scan_told: bool


@dataclass(slots=True)
class _Done:
    """What this creation changed so far, or may have changed: a step whose answer was lost counts as done."""

    uid: str = ""
    may_exist: bool = False
    linked: list[str] = field(default_factory=list)
    pods: list[WaitingPod] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)


def connect(cluster: Cluster) -> api.Cluster:
    """A connection for writing while a person waits: to where scans read. Raises `cluster.BadConfiguration`."""
    return connect_as_scans_do(cluster, read_timeout=READ_TIMEOUT)


def waiting_pods(connection: api.Cluster, namespace: str, registry: str) -> list[WaitingPod]:
    """The Pods of `namespace` that wait for an image of `registry` (host with port) now. Raises ClusterError."""
    found = []
    for pod in connection.pods(namespace):
        if any(_registry_of(image) == registry for image in _waited_for(pod)):
            controller = next((o for o in pod.metadata.owner_references or () if o.controller), None)
            by = f"{controller.kind}/{controller.name}" if controller else ""
            found.append(WaitingPod(name=pod.metadata.name, uid=pod.metadata.uid, controller=by))
    return found


def _waited_for(pod: raw.Pod) -> list[str]:
    status = pod.status or raw.PodStatus()
    statuses = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    waiting = {s.name for s in statuses if s.state and s.state.waiting and s.state.waiting.reason in PULL_WAITS}
    containers = (*(pod.spec.init_containers or ()), *(pod.spec.containers or ()))
    return [container.image for container in containers if container.name in waiting]


def _registry_of(image: str) -> str:
    try:
        return parse_image(image).registry
    except InvalidImage:
        return ""


@sensitive_variables("data")
def create_pull_secret(
    connection: api.Cluster,
    namespace: Namespace,
    plan: Plan,
    data: Mapping[str, bytes],
    *,
    actor: str,
    permitted: Callable[[], Decision],
) -> Created:
    """Create the Secret that `plan` describes, link it, restart Pods; undo everything if a step fails.

    `permitted` answers whether `actor` may, asked once before anything else. Raises Refusal; every outcome is audited.
    """
    request = uuid.uuid4().hex
    entry = AuditEntry(
        actor=actor,
        action=ACTION,
        cluster=namespace.cluster.name,
        namespace=namespace.name,
        object=f"Secret/{plan.name}",
        outcome=AuditEntry.Outcome.FAILED,
        message="Credboard was interrupted; the Secret and its links may be there.",
        details={
            "type": plan.type,
            "credential": plan.credential,
            "service_accounts": list(plan.service_accounts),
        },
    )
    try:
        decision = permitted()
    except api.ClusterError as error:
        raise _refused(entry, as_refusal(error, plan.name)) from None
    if not decision.allowed:
        raise _refused(entry, Refusal(decision.words, remedy=decision.remedy))
    annotations = {CREATOR_ANNOTATION: actor, REQUEST_ANNOTATION: request}
    try:
        connection.create_secret(namespace.name, plan.name, plan.type, data, MANAGED_BY, annotations, dry_run=True)
        to_link = _rehearse_links(connection, namespace.name, plan)
        done = _Done(pods=waiting_pods(connection, namespace.name, plan.registry) if plan.registry else [])
    except (api.ClusterError, Refusal) as error:
        raise _refused(entry, as_refusal(error, plan.name)) from None
    entry.save()
    try:
        done.uid = _create(connection, namespace.name, plan, data, annotations=annotations, done=done)
        _link_and_restart(connection, namespace.name, plan, to_link, done)
    except api.ClusterError as error:
        raise _undo(connection, namespace, plan, done, request=request, failed=error, entry=entry) from None
    return _finish(entry, namespace, plan, done)


@sensitive_variables("data")
def _create(
    connection: api.Cluster,
    namespace: str,
    plan: Plan,
    data: Mapping[str, bytes],
    *,
    annotations: Mapping[str, str],
    done: _Done,
) -> str:
    try:
        return connection.create_secret(namespace, plan.name, plan.type, data, MANAGED_BY, annotations)
    except api.ClusterError as error:
        done.may_exist = not isinstance(error, DEFINITE)
        raise


def _rehearse_links(connection: api.Cluster, namespace: str, plan: Plan) -> list[str]:
    """The ServiceAccounts that do not name the Secret yet. Finds out now what would refuse the real patch later."""
    try:
        return [
            account
            for account in plan.service_accounts
            if connection.link_pull_secret(namespace, account, plan.name, dry_run=True)
        ]
    except api.NotFound as error:
        raise Refusal(
            f"A ServiceAccount is gone. {error}", field="service_accounts", remedy="Reload the form."
        ) from None


def _link_and_restart(connection: api.Cluster, namespace: str, plan: Plan, to_link: list[str], done: _Done) -> None:
    for account in to_link:
        done.linked.append(account)
        try:
            connection.link_pull_secret(namespace, account, plan.name)
        except DEFINITE:
            done.linked.remove(account)
            raise
    for pod in done.pods if plan.restart else ():
        if not pod.can_restart:
            continue
        try:
            connection.delete_pod(namespace, pod.name, pod.uid)
        except (api.NotFound, api.Conflict):
            continue  # it is gone, or another Pod has its name by now: it started again without us
        done.restarted.append(pod.name)


def _finish(entry: AuditEntry, namespace: Namespace, plan: Plan, done: _Done) -> Created:
    at = timezone.now()
    entry.outcome = AuditEntry.Outcome.DONE
    entry.message = ""
    entry.details = {**entry.details, "uid": done.uid, "linked": done.linked, "restarted": done.restarted}
    entry.save()
    told = request_scan(namespace)
    return Created(
        name=plan.name,
        uid=done.uid,
        at=at,
        linked=tuple(done.linked),
        restarted=tuple(done.restarted),
        waiting=tuple(pod for pod in done.pods if pod.name not in done.restarted),
        scan_told=told,
    )


def _refused(entry: AuditEntry, refusal: Refusal) -> Refusal:
    """Nothing was changed; say so in the audit."""
    entry.outcome = AuditEntry.Outcome.REFUSED
    entry.message = refusal.message[:1000]
    entry.save()
    return refusal


# Undoing


def _undo(
    connection: api.Cluster,
    namespace: Namespace,
    plan: Plan,
    done: _Done,
    *,
    request: str,
    failed: api.ClusterError,
    entry: AuditEntry,
) -> Refusal:
    """Take back what was done and return what to tell: what failed, and how things stand now."""
    cause = as_refusal(failed, plan.name)
    left, commands = _unlink(connection, namespace.name, plan, done)
    secret_left = _delete(connection, namespace.name, plan, done, request=request)
    if secret_left:
        left.append(secret_left)
        commands.append(_kubectl("delete", "secret", plan.name, namespace=namespace.name))
    changed = bool(done.uid or done.linked)
    told = cause.message if cause.message.endswith((".", "!", "?", "…")) else f"{cause.message}."
    restarted = f" Pods already deleted: {', '.join(done.restarted)}." if done.restarted else ""
    if left:
        entry.outcome = AuditEntry.Outcome.FAILED
        message = f"{told} Undoing failed too. Left behind: {'; '.join(left)}.{restarted}"
        remedy = "\n".join(commands)
    elif changed:
        entry.outcome = AuditEntry.Outcome.UNDONE
        message = f"{told} Everything was undone: there is no Secret {plan.name} from this attempt.{restarted}"
        remedy = cause.remedy
    else:
        entry.outcome = AuditEntry.Outcome.FAILED
        message = f"{told} Nothing was created."
        remedy = cause.remedy
    entry.message = message[:1000]
    entry.details = {**entry.details, "left": left, "restarted": done.restarted}
    entry.save()
    log.warning("Creating a pull Secret in %s failed (%s): %s", namespace, type(failed).__name__, entry.outcome)
    return Refusal(
        message, field="" if left else cause.field, remedy=remedy, conflict=cause.conflict, left_behind=bool(left)
    )


def _unlink(connection: api.Cluster, namespace: str, plan: Plan, done: _Done) -> tuple[list[str], list[str]]:
    left: list[str] = []
    commands: list[str] = []
    for account in reversed(done.linked):
        try:
            connection.unlink_pull_secret(namespace, account, plan.name)
        except api.NotFound:
            continue
        except api.ClusterError:
            left.append(f"the link to {plan.name} on the ServiceAccount {account}")
            # Not a patch: the list is atomic, so a patch that was written now could drop what others add meanwhile.
            commands.append(_kubectl("edit", "serviceaccount", account, namespace=namespace))
    return left, commands


def _delete(connection: api.Cluster, namespace: str, plan: Plan, done: _Done, *, request: str) -> str:
    """Delete the Secret; what is left of it as words, "" for nothing."""
    if not done.uid and not done.may_exist:
        return ""
    unsure = f"perhaps the Secret {plan.name}, since the answer to its creation was lost"
    try:
        if not done.uid:
            mine = connection.secret_metadata(namespace, plan.name)
            if (mine.annotations or {}).get(REQUEST_ANNOTATION) != request:
                return ""
            done.uid = mine.uid
        connection.delete_secret(namespace, plan.name, done.uid)
    except (api.NotFound, api.Conflict):
        return ""  # it is gone; with another uid it is somebody else's
    except api.ClusterError:
        return f"the Secret {plan.name}" if done.uid else unsure
    return ""


def _kubectl(*words: str, namespace: str) -> str:
    return shlex.join(["kubectl", *words, "-n", namespace])
