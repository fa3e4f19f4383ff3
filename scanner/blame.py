"""Why an image that needs a credential gets none: the one cause that is told, of all that may be true at once.

Each check about uncovered images takes its share from here, so that a Pod's failure has one explanation. In order: a
broken Secret fails every pull; a Secret that is here and covers the image needs only a link; a name without a Secret
comes before Secrets that do not fit, because what is in it is not known; and those whose type is wrong but whose keys
are right come before keys that miss by little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from scanner.coverage import Coverage, Covering, ImageUse
from scanner.image import Image
from scanner.keyring import Mismatch, why_not
from scanner.near_miss import NearMiss, near_miss
from scanner.pull_failure import Cause
from scanner.snapshot import PullEntry, Secret

#: Entries of one Secret that are compared with an image letter by letter.
_MOST_ENTRIES: Final = 200
#: Such comparisons in one Namespace, a quarter of a millisecond each. What is left without one is told as uncovered.
_MOST_COMPARISONS: Final = 10_000


class Why(StrEnum):
    MALFORMED = "malformed"  # PS02
    STALE_LINK = "stale-link"  # PS09: the ServiceAccount lists it now, the Pod was made before
    UNLINKED = "unlinked"  # PS04
    MISSING = "missing"  # PS01
    WRONG_TYPE = "wrong-type"  # PS08
    WRONG_HOST = "wrong-host"  # PS06
    UNCOVERED = "uncovered"  # PS03


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Why `use` has no credential. `secret` is the Secret at fault, or that would help, "" when there is none."""

    why: Why
    use: ImageUse
    secret: str = ""
    near_miss: NearMiss | None = None
    covering: tuple[Covering, ...] = ()


class Blames:
    """One for each image use of `coverage` that fails for want of a credential, or is to have one by decree."""

    def __init__(self, coverage: Coverage, required_registries: Collection[str] = ()) -> None:
        self._coverage = coverage
        self._required = required_registries
        self._known: dict[tuple[tuple[str, ...], str, str, bool], Blame] = {}
        self._comparisons_left = _MOST_COMPARISONS

    @cached_property
    def all(self) -> tuple[Blame, ...]:
        return tuple(self._find())

    def because(self, why: Why, *, secret: str | None = None) -> list[Blame]:
        return [one for one in self.all if one.why is why and secret in (None, one.secret)]

    def of(self, use: ImageUse) -> Blame | None:
        """The blame of one of the uses of `coverage`; None if it lacks nothing."""
        return self._by_use.get(id(use))

    @cached_property
    def _by_use(self) -> dict[int, Blame]:
        return {id(one.use): one for one in self.all}

    def wants_only_a_link(self, uses: Iterable[ImageUse]) -> bool:
        """Whether all `uses` that fail for want of a credential, of which there are some, are covered by a Secret of
        this Namespace that their Pods do not name: then a name without a Secret is not what stops them."""
        found = [one.why for use in uses if use.wants_credential and (one := self.of(use))]
        return bool(found) and all(why in (Why.UNLINKED, Why.STALE_LINK) for why in found)

    def _find(self) -> Iterator[Blame]:
        for use in self._coverage.uses if self._required else self._coverage.failing:
            image = use.image
            if image is None or not use.credential or use.is_debugging:
                continue
            if use.pull_secrets.malformed:
                if use.failure:
                    yield Blame(why=Why.MALFORMED, use=use, secret=use.pull_secrets.malformed[0])
            elif use.wants_credential or (not use.matches and image.registry in self._required):
                key = (use.pull_secrets.named, use.pod.service_account, image.name, use.wants_credential)
                known = self._known.get(key)
                if known is None:
                    known = self._known[key] = self.judge(use, image, wants=use.wants_credential)
                yield Blame(
                    why=known.why, use=use, secret=known.secret, near_miss=known.near_miss, covering=known.covering
                )
            elif use.matches and _is_refused_anonymously(use) and (secret := self._without_login(use)):
                yield Blame(why=Why.WRONG_TYPE, use=use, secret=secret)

    def judge(self, use: ImageUse, image: Image, *, wants: bool) -> Blame:
        """Why nothing covers `image` in `use`, none of whose Secrets is broken. `wants`: it would not work without."""
        named = [self._coverage.snapshot.secrets.get(name) for name in use.pull_secrets.named]
        present = [secret for secret in named if secret is not None]
        covering = self._coverage.secrets_covering(image.name) if wants else ()
        if covering:
            late = self._linked_later(use)
            linked = tuple(one for one in covering if one.secret in late)
            why = Why.STALE_LINK if linked else Why.UNLINKED
            return Blame(why=why, use=use, secret=(linked or covering)[0].secret, covering=linked or covering)
        if use.pull_secrets.missing:
            return Blame(why=Why.MISSING, use=use, secret=use.pull_secrets.missing[0])
        for secret in present:
            if _would_cover(secret, image):
                return Blame(why=Why.WRONG_TYPE, use=use, secret=secret.name)
        if found := self._near_miss(use, image):
            return Blame(why=Why.WRONG_HOST, use=use, secret=found[0], near_miss=found[1])
        for secret in present:
            holds_unknown = not (secret.misfit and secret.misfit.keys)
            if holds_unknown and (secret.misfit or not secret.is_pull_secret):
                return Blame(why=Why.WRONG_TYPE, use=use, secret=secret.name)
            if secret.entries and all(entry.key is None for entry in secret.entries):
                return Blame(why=Why.MALFORMED, use=use, secret=secret.name)
        for secret in self._coverage.snapshot.secrets.values():
            if secret.misfit and _would_cover(secret, image):
                return Blame(why=Why.WRONG_TYPE, use=use, secret=secret.name)
        return Blame(why=Why.UNCOVERED, use=use)

    def _linked_later(self, use: ImageUse) -> frozenset[str]:
        """What the ServiceAccount lists and the Pod lacks, if the Pod's list looks copied from an older one.

        Admission copies the list when a Pod is made and names none itself, so what was copied once is still a part. It
        leaves alone what stands for a static Pod.
        """
        if use.pod.is_static:
            return frozenset()
        account = self._coverage.snapshot.service_accounts.get(use.pod.service_account)
        named, listed = frozenset(use.pod.image_pull_secrets), frozenset(account.image_pull_secrets if account else ())
        return listed - named if named < listed else frozenset()

    def _near_miss(self, use: ImageUse, image: Image) -> tuple[str, NearMiss] | None:
        account = None
        if not use.pod.is_static:
            account = self._coverage.snapshot.service_accounts.get(use.pod.service_account)
        names = dict.fromkeys((*use.pull_secrets.named, *(account.image_pull_secrets if account else ())))
        secrets = [self._coverage.snapshot.secrets.get(name) for name in names]
        entries = [(s, entry) for s in secrets if s and s.is_pull_secret for entry in s.entries[:_MOST_ENTRIES]]
        entries = entries[: self._comparisons_left]
        self._comparisons_left -= len(entries)
        found = [
            (miss, secret.name)
            for secret, entry in entries
            if (miss := near_miss(entry.raw_key, entry.key, image)) and not self._is_used(secret, entry, miss)
        ]
        if not found:
            return None
        miss, name = min(found, key=lambda one: one[0].kind)
        return name, miss

    def _is_used(self, secret: Secret, entry: PullEntry, miss: NearMiss) -> bool:
        """A key that covers another image here is right for that one."""
        return miss.kind.is_about_host and (secret.name, entry.key) in self._used

    @cached_property
    def _used(self) -> frozenset[tuple[str, str]]:
        return frozenset((match.secret, match.key) for use in self._coverage.uses for match in use.matches)

    def _without_login(self, use: ImageUse) -> str:
        """The Secret whose entry matches and holds no login that the kubelet reads, where no other has one; or ""."""
        secrets = self._coverage.snapshot.secrets
        if use.login:
            return ""
        return next((match.secret for match in use.matches if secrets[match.secret].misfit), "")


def _is_refused_anonymously(use: ImageUse) -> bool:
    return use.failure is not None and use.failure.cause in (Cause.AUTH_MISSING, Cause.AUTH_OR_NOT_FOUND)


def _would_cover(secret: Secret, image: Image) -> bool:
    keys = secret.misfit.keys if secret.misfit else ()
    return any(why_not(key, image.name) in (None, Mismatch.ONLY_FALLBACK) for key in keys)
