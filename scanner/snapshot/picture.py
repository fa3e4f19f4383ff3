"""What a snapshot is made of: frozen values that cannot hold a secret.

Those of which a cluster has thousands are Structs: dataclasses take ten times as long to make (see `image`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from scanner.credential import ParsedCredential
from scanner.docker_config import DATA_KEYS
from scanner.literal import LiteralCredential
from scanner.misfit import Misfit

PULL_SECRET_TYPES: Final = frozenset(DATA_KEYS)

_PUBLIC_KINDS: Final = frozenset({"certificate", "keystore"})
_CA: Final = ("tls", "ca.crt")

Role = Literal["container", "init", "ephemeral", "volume"]
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


class Secret(msgspec.Struct, frozen=True, gc=False, kw_only=True):
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


class ServiceAccount(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    name: str
    image_pull_secrets: tuple[str, ...] = ()


class SecretReference(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A container or volume that needs a Secret to start. `key` None: the whole Secret."""

    secret: str
    key: str | None
    via: Via
    where: str
    optional: bool


class Container(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`started` is true once a process of this container ran, so its image was on the node then.

    The role "volume" is that of an image that is mounted; its name is "volume " and the volume's."""

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


class Pod(msgspec.Struct, frozen=True, gc=False, kw_only=True):
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
    def is_static(self) -> bool:
        """It stands for what a node runs from a file (a mirror Pod): a ServiceAccount gives it nothing."""
        return self.controller.startswith("Node/")

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
