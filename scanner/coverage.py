"""Which credential the kubelet would use for each image of a namespace: image → Pod → Secret → auths key.

The rules are the kubelet's (`kubelet_pods.go` getPullSecretsForPod, `credentialprovider/secrets`): Secrets are looked up
in the Pod's namespace, a missing one is skipped, one of another type is ignored, a broken one fails every pull.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from scanner.image import Image, InvalidImage, parse_image
from scanner.keyring import Keyring
from scanner.pull_failure import Cause, PullFailure, explain
from scanner.snapshot import Container, Pod, Secret, Snapshot

#: Waiting reasons of the kubelet's image manager (`pkg/kubelet/images/types.go`).
PULL_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """A docker config entry that the kubelet would try for an image."""

    secret: str
    key: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSecrets:
    """What became of the pull Secrets that a Pod names, in the Pod's order."""

    named: tuple[str, ...]
    missing: tuple[str, ...]
    wrong_type: tuple[str, ...]
    malformed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """One container's image, what would be tried to pull it, and how its pull fails now (None when it does not).

    `image` is None when the reference is invalid. `failed_at` is when the failure was last seen, if an Event tells.
    """

    pod: Pod
    container: Container
    image: Image | None
    pull_secrets: PullSecrets
    matches: tuple[Covering, ...]
    failure: PullFailure | None = None
    failed_at: datetime | None = None
    awaits_retry: bool = False

    @property
    def credential(self) -> str:
        """The column of this image's registry; "" for an invalid reference."""
        return f"registry/{self.image.registry}" if self.image else ""


class Coverage:
    """Every image use of a snapshot. Says nothing about what could not be read: see `Snapshot.unreadable`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._keyrings: dict[tuple[str, ...], tuple[PullSecrets, Keyring]] = {}
        self._matches: dict[tuple[tuple[str, ...], str], tuple[Covering, ...]] = {}

    @cached_property
    def uses(self) -> tuple[ImageUse, ...]:
        """The image uses of all Pods that are not finished."""
        return tuple(use for pod in self.snapshot.pods if not pod.is_finished for use in self._uses_of(pod))

    @cached_property
    def failing(self) -> tuple[ImageUse, ...]:
        """The uses whose pull fails now."""
        return tuple(use for use in self.uses if use.failure)

    @cached_property
    def referring(self) -> Mapping[str, tuple[str, ...]]:
        """Secret name → who names it as pull Secret: "ServiceAccount/x" and "Pod/y", Pods only while not finished."""
        found: dict[str, list[str]] = {}
        for account in self.snapshot.service_accounts.values():
            for name in account.image_pull_secrets:
                found.setdefault(name, []).append(f"ServiceAccount/{account.name}")
        for pod in self.snapshot.pods:
            if not pod.is_finished:
                for name in pod.image_pull_secrets:
                    found.setdefault(name, []).append(f"Pod/{pod.name}")
        return {name: tuple(dict.fromkeys(who)) for name, who in found.items()}

    def secrets_covering(self, image: str) -> tuple[Covering, ...]:
        """Entries of any readable pull Secret of this namespace, linked or not, that cover `image`."""
        names = tuple(sorted(s.name for s in self.snapshot.secrets.values() if s.is_pull_secret and not s.malformed))
        return self._lookup(names, image)

    def _uses_of(self, pod: Pod) -> Iterator[ImageUse]:
        named = pod.image_pull_secrets
        pull_secrets, _ = self._keyring(named)
        for container in pod.containers:
            try:
                image = parse_image(container.image)
            except InvalidImage:
                image = None
            matches = self._lookup(named, container.image) if image else ()
            failure, failed_at = _failure(pod, container)
            yield ImageUse(
                pod=pod,
                container=container,
                image=image,
                pull_secrets=pull_secrets,
                matches=matches,
                failure=failure,
                failed_at=failed_at,
                awaits_retry=failure is not None and self._awaits_retry(failure, failed_at, matches),
            )

    def _keyring(self, names: tuple[str, ...]) -> tuple[PullSecrets, Keyring]:
        known = self._keyrings.get(names)
        if known is None:
            secrets = self.snapshot.secrets
            present = [(i, secrets[name]) for i, name in enumerate(names) if name in secrets]
            pull_secrets = PullSecrets(
                named=names,
                missing=tuple(name for name in names if name not in secrets),
                wrong_type=tuple(s.name for _, s in present if not s.is_pull_secret),
                malformed=tuple(s.name for _, s in present if s.malformed),
            )
            keyring = Keyring.from_entries((i, e) for i, s in present if s.is_pull_secret for e in s.entries)
            known = self._keyrings[names] = (pull_secrets, keyring)
        return known

    def _lookup(self, names: tuple[str, ...], image: str) -> tuple[Covering, ...]:
        if not names:
            return ()
        known = self._matches.get((names, image))
        if known is None:
            try:
                found = self._keyring(names)[1].lookup(image)
            except InvalidImage:
                found = []
            known = self._matches[names, image] = tuple(
                Covering(secret=names[match.secret_index], key=match.key, username=match.username) for match in found
            )
        return known

    def _awaits_retry(self, failure: PullFailure, failed_at: datetime | None, matches: tuple[Covering, ...]) -> bool:
        """True when the failure is of a time before the credential that would be used now: the kubelet has not tried again.

        An anonymous failure although an entry with a user name matches can only be older than the Secret: the kubelet
        never pulls anonymously when an entry matches. A refusal is older if the Secret was made after it.
        """
        used = [match for match in matches if match.username]
        if not used:
            return False
        if failure.credentials_used is False:
            return True
        created = [self._created_at(match.secret) for match in used]
        return failed_at is not None and all(at is not None and at > failed_at for at in created)

    def _created_at(self, name: str) -> datetime | None:
        secret: Secret | None = self.snapshot.secrets.get(name)
        return secret.created_at if secret else None


def _failure(pod: Pod, container: Container) -> tuple[PullFailure | None, datetime | None]:
    """The failing pull of a container: from its waiting message, else (kubelet < 1.32) from the Pod's Events."""
    if container.waiting_reason not in PULL_REASONS:
        return None, None
    failure = explain(container.message, container.waiting_reason)
    of_image = [e for e in pod.events if f'"{container.image}"' in e.message and e.reason in ("Failed", "BackOff")]
    failed_at = of_image[0].last_at if of_image else None
    if failure.cause is Cause.UNKNOWN:
        for event in of_image:
            told = explain(event.message, event.reason)
            if told.cause is not Cause.UNKNOWN:
                return told, event.last_at
    return failure, failed_at
