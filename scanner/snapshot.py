"""One namespace as a scan saw it: immutable, and free of secret values.

`build_snapshot` is where the bytes of Secrets stop. No type of this module, nor any built from it, can hold one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from secrets import token_bytes
from types import MappingProxyType
from typing import Final, Literal

from scanner import raw
from scanner.credential import (
    ANY_TYPE,
    DECLARED_EXPIRY,
    CredentialKind,
    Fingerprint,
    ParsedCredential,
    Unparsable,
    credential_kinds,
)
from scanner.credentials.service_account_token import LAST_USED
from scanner.credentials.service_account_token import TYPE as SERVICE_ACCOUNT_TOKEN
from scanner.docker_config import DATA_KEYS, MalformedPullSecret, parse_entries
from scanner.elsewhere import Elsewhere, Place
from scanner.form import forms_of
from scanner.literal import LiteralCredential, literal_credentials
from scanner.misfit import Misfit, find_misfit
from scanner.renewal import completed, written_at

__all__ = [
    "Container",
    "Elsewhere",
    "Event",
    "LiteralCredential",
    "Owner",
    "Place",
    "Pod",
    "PullEntry",
    "Secret",
    "SecretReference",
    "ServiceAccount",
    "Snapshot",
    "Unread",
    "build_snapshot",
]

PULL_SECRET_TYPES: Final = frozenset(DATA_KEYS)
OWNER_ANNOTATION: Final = "credboard.dev/owner"
KUBEFLOW_OWNER_ANNOTATION: Final = "owner"
KUBEFLOW_LABEL: Final = ("app.kubernetes.io/part-of", "kubeflow-profile")

_PUBLIC_KINDS: Final = frozenset({"certificate", "keystore"})
_CA: Final = ("tls", "ca.crt")

Role = Literal["container", "init", "ephemeral"]
Via = Literal["env", "envFrom", "volume", "projected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A person or group whose namespace it is, and what says so."""

    kind: Literal["user", "group"]
    name: str
    source: Literal["profile", "annotation", "rolebinding"]


@dataclass(frozen=True, slots=True)
class PullEntry:
    """A docker config entry (`docker_config.Entry`) in a type that has no place for a password, only for whether there
    is one."""

    key: str | None
    username: str
    raw_key: str
    dropped: str | None = None
    ignored_fields: tuple[str, ...] = ()
    has_password: bool = True


@dataclass(frozen=True, slots=True)
class Unread:
    """A credential that could not be read, and why in words. `credential` is the column it would have had, if known."""

    credential: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """`entries` are the docker config entries without passwords; `malformed` says why the kubelet cannot read this pull
    Secret ("" when it can); `misfit` why it passes over the docker config that is, or should be, in it; `unparsable`
    what the credential kinds could not read of it; `changed_at` when its data was last written, as far as the API
    server says; `last_used_on` the day that the API server wrote on a ServiceAccount token, "" without one."""

    name: str
    type: str
    keys: frozenset[str]
    created_at: datetime | None = None
    changed_at: datetime | None = None
    last_used_on: str = ""
    credentials: tuple[ParsedCredential, ...] = ()
    entries: tuple[PullEntry, ...] = ()
    malformed: str = ""
    misfit: Misfit | None = None
    unparsable: tuple[Unread, ...] = ()

    @property
    def is_pull_secret(self) -> bool:
        return self.type in PULL_SECRET_TYPES

    @property
    def admitting(self) -> tuple[ParsedCredential, ...]:
        """The credentials that let in whoever reads them. Not entries without a user name or password, nor what is
        public or may be: files of certificates, authorities, and keystores, most of which hold authorities."""
        if self.is_pull_secret:
            keys = {entry.key for entry in self.entries if entry.username and entry.has_password}
            return tuple([one for one in self.credentials if one.part in keys])
        return tuple([one for one in self.credentials if (one.kind, one.part) != _CA and one.kind not in _PUBLIC_KINDS])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    name: str
    image_pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """A container or volume that needs a Secret to start. `key` None: the whole Secret."""

    secret: str
    key: str | None
    via: Via
    where: str
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """`started` is true once a process of this container ran, so its image was on the node then."""

    name: str
    role: Role
    image: str
    started: bool = False
    waiting_reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    reason: str
    message: str
    last_at: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """`controller` is "Kind/name" of the object that would make this Pod again, "" when none would; `literals` say
    where a credential is written out in its spec or annotations, without the value."""

    name: str
    service_account: str
    image_pull_secrets: tuple[str, ...]
    containers: tuple[Container, ...]
    references: tuple[SecretReference, ...] = ()
    created_at: datetime | None = None
    phase: str = ""
    controller: str = ""
    events: tuple[Event, ...] = ()
    literals: tuple[LiteralCredential, ...] = ()
    is_leaving: bool = False

    @property
    def is_finished(self) -> bool:
        """It has ended or is being deleted (`is_leaving`): nothing that it lacks is to be put right for it."""
        return self.is_leaving or self.phase in ("Succeeded", "Failed")

    @property
    def has_started(self) -> bool:
        """Every container ran at least once, so neither an image nor a Secret is missing where the Pod is now."""
        return all(container.started or container.role == "ephemeral" for container in self.containers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One namespace. `unreadable` maps a resource (plural API name) that the API refused to why; a resource in it is
    empty here, and that says nothing about the cluster."""

    name: str
    uid: str = ""
    phase: str = "Active"
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    service_accounts: Mapping[str, ServiceAccount] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def pull_secret_keys(self) -> dict[str, list[str]]:
        """Names of the readable pull Secrets here with their normalised keys: what `Elsewhere` needs of a namespace."""
        return {
            secret.name: sorted({entry.key for entry in secret.entries if entry.key})
            for secret in self.secrets.values()
            if secret.is_pull_secret and not secret.malformed
        }

    def fingerprints(self) -> list[str]:
        """Fingerprints of the credentials here that let in whoever reads them, in order."""
        found = {one.fingerprint for secret in self.secrets.values() for one in secret.admitting if one.fingerprint}
        return sorted(found)


def build_snapshot(objects: raw.NamespaceObjects, *, fingerprint: Fingerprint) -> Snapshot:
    """Turn what the API server sent into a picture without secret values.

    Never raises on what a cluster can hold: a Secret that cannot be read becomes `malformed` or `unparsable`.
    """
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in objects.events:
        if event.involved_object.kind == "Pod":
            events[event.involved_object.name].append(_event(event))
    namespace = objects.namespace
    names = frozenset([secret.metadata.name for secret in objects.secrets])
    return Snapshot(
        name=namespace.metadata.name,
        uid=namespace.metadata.uid,
        phase=namespace.status.phase if namespace.status else "",
        labels=MappingProxyType(namespace.metadata.labels or {}),
        owners=tuple(_owners(objects)),
        secrets=MappingProxyType({s.metadata.name: _secret(s, fingerprint) for s in objects.secrets}),
        service_accounts=MappingProxyType({a.metadata.name: _service_account(a) for a in objects.service_accounts}),
        pods=tuple(_pod(pod, events.get(pod.metadata.name, ()), names) for pod in objects.pods),
        unreadable=MappingProxyType(dict(objects.unreadable)),
    )


def _owners(objects: raw.NamespaceObjects) -> Iterator[Owner]:
    seen = set[tuple[str, str]]()
    for owner in _owner_claims(objects):
        if owner.name and (owner.kind, owner.name) not in seen:
            seen.add((owner.kind, owner.name))
            yield owner


def _owner_claims(objects: raw.NamespaceObjects) -> Iterator[Owner]:
    metadata = objects.namespace.metadata
    annotations = metadata.annotations or {}
    label, value = KUBEFLOW_LABEL
    if subject := objects.profile_owner:
        yield Owner(kind="group" if subject.kind == "Group" else "user", name=subject.name, source="profile")
    elif (metadata.labels or {}).get(label) == value:
        # The controller writes the owner's name here whatever its kind, so only where the Profile itself is not known.
        yield Owner(kind="user", name=annotations.get(KUBEFLOW_OWNER_ANNOTATION, "").strip(), source="profile")
    for word in annotations.get(OWNER_ANNOTATION, "").split(","):
        yield from _annotated(word.strip())
    for binding in objects.role_bindings:
        for subject in binding.subjects or ():
            if subject.kind in ("User", "Group") and not subject.name.startswith("system:"):
                kind: Literal["user", "group"] = "user" if subject.kind == "User" else "group"
                yield Owner(kind=kind, name=subject.name, source="rolebinding")


def _annotated(word: str) -> Iterator[Owner]:
    """Whom a word of the owner annotation means: "group:NAME" a group, any other a user, and without an @, as in no
    mail address, a group as well. The system's own groups own nothing: they would be everybody."""
    group = word.removeprefix("group:").strip()
    is_group = group != word
    if not is_group:
        yield Owner(kind="user", name=word, source="annotation")
    if (is_group or "@" not in word) and not group.startswith("system:"):
        yield Owner(kind="group", name=group, source="annotation")


@cache
def _kinds_of_type(secret_type: str) -> tuple[CredentialKind, ...]:
    kinds = credential_kinds().values()
    return tuple(kind for kind in kinds if secret_type in kind.secret_types or ANY_TYPE in kind.secret_types)


def _secret(secret: raw.Secret, fingerprint: Fingerprint) -> Secret:
    entries: tuple[PullEntry, ...] = ()
    malformed = ""
    misfit: Misfit | None
    credentials: tuple[ParsedCredential, ...]
    unparsable: tuple[Unread, ...]
    if secret.type in PULL_SECRET_TYPES:
        entries, malformed, misfit, credentials, unparsable = _pull_secret(secret, fingerprint)
    else:
        credentials, unparsable = _credentials(secret, fingerprint)
        misfit = find_misfit(secret.type, secret.data, ()) if secret.data else None
    return Secret(
        name=secret.metadata.name,
        type=secret.type,
        keys=frozenset(secret.data or ()),
        created_at=secret.metadata.creation_timestamp,
        changed_at=written_at(secret.metadata) or secret.metadata.creation_timestamp,
        last_used_on=(secret.metadata.labels or {}).get(LAST_USED, "") if secret.type == SERVICE_ACCOUNT_TOKEN else "",
        credentials=tuple([completed(one, secret.metadata) for one in credentials]) if credentials else (),
        entries=entries,
        malformed=malformed,
        misfit=misfit,
        unparsable=unparsable,
    )


def _credentials(
    secret: raw.Secret, fingerprint: Fingerprint
) -> tuple[tuple[ParsedCredential, ...], tuple[Unread, ...]]:
    credentials: list[ParsedCredential] = []
    unparsable: list[Unread] = []
    # A type that is made up for one Secret must not fill the cache of kinds.
    kinds = _kinds_of_type(secret.type if secret.type in _KNOWN_TYPES else "")
    forms = forms_of(secret.data)
    for kind in kinds:
        if kind.forms and kind.forms.isdisjoint(forms):
            continue
        try:
            credentials += kind.read(secret, fingerprint)
        except Unparsable as error:
            unparsable.append(Unread(error.credential, str(error)))
    return tuple(credentials), tuple(unparsable)


_KNOWN_TYPES: Final = frozenset(t for kind in credential_kinds().values() for t in kind.secret_types)

PullSecretReading = tuple[tuple[PullEntry, ...], str, Misfit | None, tuple[ParsedCredential, ...], tuple[Unread, ...]]

# The same pull Secret lies in hundreds of namespaces; it is read once. The memory is keyed by a hash under a key that
# lives as long as the process, and what it holds has no value in it.
_memory: dict[bytes, PullSecretReading] = {}
_MEMORY_SIZE: Final = 4096
_memory_key: Final = token_bytes(32)


def _pull_secret(secret: raw.Secret, fingerprint: Fingerprint) -> PullSecretReading:
    data = secret.data or {}
    declared = (secret.metadata.annotations or {}).get(DECLARED_EXPIRY)
    # An unreadable declaration is reported under the Secret's own name, so with one the name is part of what is read.
    name = "" if declared is None else secret.metadata.name
    digest = hashlib.blake2b(key=_memory_key, digest_size=32)
    for part in (fingerprint.key, secret.type.encode(), repr((declared, name)).encode("utf-8", "backslashreplace")):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    digest.update(data.get(DATA_KEYS[secret.type], b""))
    key = digest.digest()
    known = _memory.get(key)
    if known is None:
        entries: tuple[PullEntry, ...] = ()
        malformed = ""
        misfit: Misfit | None = None
        try:
            parsed = parse_entries(secret.type, data)
            entries = tuple(
                PullEntry(e.key, e.username, e.raw_key, e.dropped, e.ignored_fields, has_password=bool(e.password))
                for e in parsed
            )
            misfit = find_misfit(secret.type, data, parsed)
        except MalformedPullSecret as error:
            malformed = error.reason
        known = (entries, malformed, misfit, *_credentials(secret, fingerprint))
        if len(_memory) >= _MEMORY_SIZE:
            _memory.clear()
        _memory[key] = known
    return known


def _service_account(account: raw.ServiceAccount) -> ServiceAccount:
    return ServiceAccount(name=account.metadata.name, image_pull_secrets=_names(account.image_pull_secrets))


def _names(references: list[raw.LocalObjectReference] | None) -> tuple[str, ...]:
    # The kubelet skips an entry without a name in silence (kubelet_pods.go, getPullSecretsForPod).
    return tuple([reference.name for reference in references if reference.name]) if references else ()


def _event(event: raw.Event) -> Event:
    series = event.series
    last_at = (series and series.last_observed_time) or event.last_timestamp or event.event_time
    count = (series.count if series else event.count) or 1
    return Event(reason=event.reason, message=event.message, last_at=last_at, count=count)


def _pod(pod: raw.Pod, events: Iterable[Event], secret_names: frozenset[str]) -> Pod:
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
    by_name = {status.name: status for status in statuses or ()}
    for spec in specs:
        status = by_name.get(spec.name)
        state = status.state if status else None
        last = status.last_state if status else None
        waiting = state.waiting if state else None
        containers.append(
            Container(
                name=spec.name,
                role=role,
                image=spec.image,
                started=bool((state and (state.running or state.terminated)) or (last and last.terminated)),
                waiting_reason=waiting.reason if waiting else "",
                message=waiting.message if waiting else "",
            )
        )


def _references(spec: raw.PodSpec) -> tuple[SecretReference, ...]:
    found: list[SecretReference] = []
    for container in chain(spec.init_containers or (), spec.containers or (), spec.ephemeral_containers or ()):
        for variable in container.env or ():
            selector = variable.value_from.secret_key_ref if variable.value_from else None
            if selector and selector.name:
                found.append(_reference(selector.name, selector.key, "env", container.name, selector.optional))
        for origin in container.env_from or ():
            if origin.secret_ref and origin.secret_ref.name:
                source = origin.secret_ref
                found.append(_reference(source.name, None, "envFrom", container.name, source.optional))
    for volume in spec.volumes or ():
        if volume.secret and volume.secret.secret_name:
            for key in _keys(volume.secret.items):
                mounted = volume.secret
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


def _reference(secret: str, key: str | None, via: Via, where: str, optional: bool | None) -> SecretReference:
    return SecretReference(secret=secret, key=key, via=via, where=where, optional=bool(optional))
