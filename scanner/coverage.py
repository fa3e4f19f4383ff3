"""Which credential the kubelet would use for each image of a namespace: image → Pod → Secret → auths key.

The rules are the kubelet's (`kubelet_pods.go` getPullSecretsForPod, `credentialprovider/secrets`): Secrets are looked
up in the Pod's namespace, a missing one is skipped, one of another type is ignored, a broken one fails every pull.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final

import msgspec

from scanner.credential import column
from scanner.image import DOCKER_HUB, OFFICIAL, Image, InvalidImage, parse_image
from scanner.keyring import Entry, Keyring
from scanner.pull_failure import Cause, PullFailure, explain
from scanner.snapshot import Container, Pod, Snapshot

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


class Covering(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A docker config entry that the kubelet would try for an image."""

    secret: str
    key: str
    username: str
    has_password: bool = True

    @property
    def logs_in(self) -> bool:
        """False where a runtime pulls anonymously with it: containerd sends nothing if either part is empty."""
        return bool(self.username) and self.has_password


class PullSecrets(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What became of the pull Secrets that a Pod names, in the Pod's order. `is_known`: Secrets could be read."""

    named: tuple[str, ...]
    missing: tuple[str, ...]
    wrong_type: tuple[str, ...]
    malformed: tuple[str, ...]
    is_known: bool = True


class ImageUse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One container's image, what would be tried to pull it, and how its pull fails now (None when it does not).

    `image` is None when the reference is invalid; `credential` is the column of its registry, "" when it names none.
    `told` is the message that tells of the failure, `failed_at` when it was last seen, if an Event says so.
    `awaits_retry`: the failure is older than the credential that the kubelet will use at its next try.
    """

    pod: Pod
    container: Container
    image: Image | None
    credential: str
    pull_secrets: PullSecrets
    matches: tuple[Covering, ...]
    failure: PullFailure | None = None
    told: str = ""
    failed_at: datetime | None = None
    awaits_retry: bool = False

    @property
    def is_debugging(self) -> bool:
        """An ephemeral container: somebody looks into a Pod, and nothing makes it again."""
        return self.container.role == "ephemeral"

    @property
    def login(self) -> Covering | None:
        """The first entry of `matches` that logs in."""
        for match in self.matches:
            if match.logs_in:
                return match
        return None

    @property
    def was_anonymous(self) -> bool:
        """The pull that failed was one without a login: the message says so, or there is none it could have had."""
        if self.failure is None or self.pull_secrets.malformed:
            return False
        if self.failure.credentials_used is not None:
            return not self.failure.credentials_used
        return self.login is None and (self.pull_secrets.is_known or not self.pull_secrets.named)

    @property
    def wants_credential(self) -> bool:
        """The pull fails now, a credential would or might end that, and the Pod has none that the kubelet would use.

        A broken pull Secret fails every pull before a registry is asked, so nothing is known of what such a Pod wants.
        """
        return (
            not self.is_debugging
            and self.failure is not None
            and self.failure.cause in _WANTS_CREDENTIAL
            and not self.matches
            and not self.pull_secrets.malformed
            and bool(self.credential)
            and not self.is_no_official
        )

    @property
    def is_no_official(self) -> bool:
        """Docker Hub does not say whether it is private or not there, and its name is that of an official image, which
        are public: so it is not there."""
        return (
            self.failure is not None
            and self.failure.cause is Cause.AUTH_OR_NOT_FOUND
            and self.image is not None
            and self.image.registry == DOCKER_HUB
            and self.image.repository.startswith(OFFICIAL)
        )

    @property
    def is_refused(self) -> bool:
        """The pull fails now with what is tried, and another credential would or might end that."""
        return self.failure is not None and self.failure.cause in _WANTS_CREDENTIAL and not self.awaits_retry


#: How long a failure may be older than the credential that ends it. The kubelet waits at most 5 minutes between two
#: tries (`MaxContainerBackOff`); twice that leaves room for a slow pull and for clocks that differ.
RETRY_WITHIN: Final = timedelta(minutes=10)
#: Failures that a credential would end, or may end where the registry does not tell.
_WANTS_CREDENTIAL: Final = frozenset(
    {Cause.AUTH_MISSING, Cause.AUTH_DENIED, Cause.AUTH_EXPIRED, Cause.AUTH_OR_NOT_FOUND, Cause.PULL_SECRET_MISSING}
)


class Coverage:
    """Every image use of a snapshot at `now`. Says nothing about what could not be read: see `Snapshot.unreadable`."""

    def __init__(self, snapshot: Snapshot, *, now: datetime) -> None:
        self.snapshot = snapshot
        self._now = now
        self._keyrings: dict[tuple[str, ...], tuple[PullSecrets, _Tried]] = {}

    @cached_property
    def uses(self) -> tuple[ImageUse, ...]:
        """The image uses of all Pods that are not finished."""
        uses: list[ImageUse] = []
        for pod in self.snapshot.pods:
            if not pod.is_finished:
                self._add_uses(uses, pod)
        return tuple(uses)

    @cached_property
    def failing(self) -> tuple[ImageUse, ...]:
        """The uses whose pull fails now."""
        return tuple(use for use in self.uses if use.failure)

    @cached_property
    def open_questions(self) -> frozenset[str]:
        """Columns of which all that failing pulls without a login tell is that an image is private, or does not exist:
        the registry says the same of both, so the name may as well be misspelt."""
        told: dict[str, bool] = {}
        for use in self.failing:
            if use.wants_credential and use.failure:
                is_open = use.failure.cause is Cause.AUTH_OR_NOT_FOUND
                told[use.credential] = told.get(use.credential, True) and is_open
        return frozenset(credential for credential, is_open in told.items() if is_open)

    @cached_property
    def referring(self) -> Mapping[str, tuple[str, ...]]:
        """Secret name → who names it as pull Secret: "ServiceAccount/x" and "Pod/y", Pods only while not finished."""
        found: dict[str, dict[str, None]] = {}
        for account in self.snapshot.service_accounts.values():
            for name in account.image_pull_secrets:
                found.setdefault(name, {})[f"ServiceAccount/{account.name}"] = None
        for pod in self.snapshot.pods:
            if pod.image_pull_secrets and not pod.is_finished:
                for name in pod.image_pull_secrets:
                    found.setdefault(name, {})[f"Pod/{pod.name}"] = None
        return {name: tuple(who) for name, who in found.items()}

    def uses_naming(self, secret: str) -> tuple[ImageUse, ...]:
        """The uses of Pods that name `secret` as a pull Secret."""
        return tuple(self._by_secret.get(secret, ()))

    @cached_property
    def _by_secret(self) -> Mapping[str, list[ImageUse]]:
        found: dict[str, list[ImageUse]] = {}
        for use in self.uses:
            for name in dict.fromkeys(use.pull_secrets.named):
                found.setdefault(name, []).append(use)
        return found

    def secrets_covering(self, image: str) -> tuple[Covering, ...]:
        """Entries of any readable pull Secret of this namespace, linked or not, that cover `image`."""
        return self._keyring(self._readable)[1].for_image(image) if self._readable else ()

    def tried(self, names: tuple[str, ...], image: str) -> tuple[Covering, ...]:
        """What the kubelet would try for `image`, in its order, in a Pod with the pull Secrets `names`."""
        return self._keyring(names)[1].for_image(image) if names else ()

    def pull_secrets(self, names: tuple[str, ...]) -> PullSecrets:
        """What would become of the pull Secrets `names` of a Pod."""
        return self._keyring(names)[0]

    @cached_property
    def _readable(self) -> tuple[str, ...]:
        return tuple(sorted(s.name for s in self.snapshot.secrets.values() if s.is_pull_secret and not s.malformed))

    def _add_uses(self, uses: list[ImageUse], pod: Pod) -> None:
        named = pod.image_pull_secrets
        pull_secrets, tried = self._keyring(named)
        for container in pod.containers:
            image: Image | None = None
            credential = ""
            matches: tuple[Covering, ...] = ()
            try:
                image = parse_image(container.image)
            except InvalidImage:
                pass
            else:
                credential = _column(image.registry)
                if named:
                    matches = tried.for_image(image.name)
            failure: PullFailure | None = None
            told, failed_at, awaits_retry = "", None, False
            if container.waiting_reason and container.waiting_reason in PULL_REASONS:
                failure, told, failed_at = _failure(pod, container)
                awaits_retry = self._awaits_retry(failure, failed_at, pull_secrets, matches)
            uses.append(
                ImageUse(
                    pod=pod,
                    container=container,
                    image=image,
                    credential=credential,
                    pull_secrets=pull_secrets,
                    matches=matches,
                    failure=failure,
                    told=told,
                    failed_at=failed_at,
                    awaits_retry=awaits_retry,
                )
            )

    def _keyring(self, names: tuple[str, ...]) -> tuple[PullSecrets, _Tried]:
        known = self._keyrings.get(names)
        if known is None:
            secrets = self.snapshot.secrets
            readable = "secrets" not in self.snapshot.unreadable
            present = [(i, secrets[name]) for i, name in enumerate(names) if name in secrets]
            pull_secrets = PullSecrets(
                named=names,
                # A Secret that could not be looked for is not known to be missing.
                missing=tuple(dict.fromkeys(name for name in names if name not in secrets)) if readable else (),
                wrong_type=tuple(s.name for _, s in present if not s.is_pull_secret),
                malformed=tuple(s.name for _, s in present if s.malformed),
                is_known=readable,
            )
            entries = tuple(
                [
                    (names[i], e.key, e.username, e.has_password)
                    for i, s in present
                    if s.is_pull_secret
                    for e in s.entries
                ]
            )
            known = self._keyrings[names] = (pull_secrets, _Tried(entries))
        return known

    def _awaits_retry(
        self,
        failure: PullFailure,
        failed_at: datetime | None,
        pull_secrets: PullSecrets,
        matches: tuple[Covering, ...],
    ) -> bool:
        """True when the failure is older than the credential that would be used now: the kubelet has not tried again.

        The kubelet never pulls anonymously when an entry matches, so an anonymous failure beside one that logs in was
        before its Secret was written, or something is wrong on the node; which, is known once the next try is due. A
        refusal is older if the Secret was written after it.
        """
        used = dict.fromkeys(match.secret for match in matches if match.logs_in)
        if not used or pull_secrets.malformed:
            return False
        for name in used:
            written = self.snapshot.secrets[name].changed_at
            if written is None or self._now - written > RETRY_WITHIN:
                return False
            if failure.credentials_used is not False and (failed_at is None or written <= failed_at):
                return False
        return True


#: Name of its Secret, key, user name, and whether there is a password.
_Entry = tuple[str, str | None, str, bool]


class _Tried:
    """What would be tried for images by Pods that name Secrets with certain entries. Equal answers are one object."""

    __slots__ = ("_entries", "_keys", "_known", "_made")

    def __init__(self, entries: tuple[_Entry, ...]) -> None:
        self._entries = entries
        self._keys = _keys(tuple([key for _, key, _, _ in entries]))
        self._known: dict[str, tuple[Covering, ...]] = {}
        self._made: dict[tuple[int, ...], tuple[Covering, ...]] = {}

    def for_image(self, image: str) -> tuple[Covering, ...]:
        found = self._known.get(image)
        if found is None:
            numbers = self._keys.matching(image)
            found = self._made.get(numbers)
            if found is None:
                found = self._made[numbers] = tuple([self._covering(number) for number in numbers])
            self._known[image] = found
        return found

    def _covering(self, number: int) -> Covering:
        secret, key, username, has_password = self._entries[number]
        return Covering(secret=secret, key=key or "", username=username, has_password=has_password)


class _Keys:
    """Which of some keys cover an image, by their numbers, in the order in which the kubelet tries them."""

    __slots__ = ("_keyring", "_known")

    def __init__(self, keys: tuple[str | None, ...]) -> None:
        # The keyring gives back the number it is given with an entry.
        self._keyring = Keyring.from_entries((number, Entry(key or "", key, "", "")) for number, key in enumerate(keys))
        self._known: dict[str, tuple[int, ...]] = {}

    def matching(self, image: str) -> tuple[int, ...]:
        found = self._known.get(image)
        if found is None:
            found = tuple([match.secret_index for match in self._keyring.lookup(image)])
            if len(self._known) < 256 and len(image) <= 1024:
                self._known[image] = found
        return found


# The namespaces of a cluster have pull Secrets for the same registries, most with a login of their own: so what is
# worked out of the keys alone serves the next.
@lru_cache(maxsize=512)
def _keys(keys: tuple[str | None, ...]) -> _Keys:
    return _Keys(keys)


@lru_cache(maxsize=4096)
def _column(registry: str) -> str:
    return column("registry", registry) if registry else ""


# Reading a message takes a millisecond; it is the same for all replicas and, while a Pod fails, at every scan.
@lru_cache(maxsize=4096)
def _explained_before(message: str, reason: str) -> PullFailure:
    return explain(message, reason)


def _explained(message: str, reason: str) -> PullFailure:
    return _explained_before(message, reason) if len(message) <= 4096 else explain(message, reason)


def _failure(pod: Pod, container: Container) -> tuple[PullFailure, str, datetime | None]:
    """The failing pull of a container: from its waiting message, else (kubelet < 1.32) from the Pod's Events.

    Returns the failure, the message that tells of it, and when an Event last told of it.
    """
    failure = _explained(container.message, container.waiting_reason)
    of_image = [e for e in pod.events if f'"{container.image}"' in e.message and e.reason in ("Failed", "BackOff")]
    # A Pod that backs off says so every few seconds; only "Failed" tells when it tried.
    failed_at = next((event.last_at for event in of_image if event.reason == "Failed"), None)
    if failed_at is None and of_image:
        failed_at = of_image[0].last_at
    if failure.cause is Cause.UNKNOWN:
        for event in of_image:
            told = _explained(event.message, event.reason)
            if told.cause is not Cause.UNKNOWN:
                return told, event.message, event.last_at
    return failure, container.message, failed_at
