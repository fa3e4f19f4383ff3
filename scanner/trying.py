"""What the kubelet tries for an image, in its order, with what is known of each credential: which one hides or delays
another.

The rules are those of `pkg/credentialprovider/keyring.go`: every entry that matches is tried, in descending order of
its key and then in the order of the Secrets, and any error moves on to the next. So a dead entry costs a try and no
more. But the login of Docker Hub under index.docker.io is a fallback for when no key of any Secret matches, so a key
for docker.io hides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from scanner.check import Context
from scanner.coverage import Covering, ImageUse
from scanner.credential import ParsedCredential, column
from scanner.credentials.docker_registry import registry_of_key
from scanner.image import DOCKER_HUB
from scanner.pull_failure import Cause
from scanner.registry_key import DOCKER_HUB_KEY


class Attempt(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One credential that is tried. `is_refused`: a registry said no to the same login under the same key here."""

    covering: Covering
    fingerprint: str = ""
    expires_at: datetime | None = None
    is_expired: bool = False
    is_refused: bool = False

    @property
    def is_alive(self) -> bool:
        """It logs in, as far as is known; without a user name or a password the node pulls anonymously."""
        return self.covering.logs_in and not self.is_expired and not self.is_refused


class Situation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A list of pull Secrets and what is tried with it for `column`'s images, by `uses`; none: no Pod does so now."""

    names: tuple[str, ...]
    column: str
    attempts: tuple[Attempt, ...]
    hidden: tuple[Covering, ...]
    uses: tuple[ImageUse, ...] = ()

    @property
    def alive(self) -> Attempt | None:
        """The first that logs in, as far as is known; the same login as a dead one is dead, too."""
        dead = {one.fingerprint for one in self.attempts if one.is_expired or one.is_refused}
        return next((one for one in self.attempts if one.is_alive and one.fingerprint not in dead), None)


def attempts(context: Context, matches: tuple[Covering, ...]) -> tuple[Attempt, ...]:
    """What is known of each of `matches`."""
    return tuple(_attempt(context, match) for match in matches)


def situations(context: Context) -> Iterator[Situation]:
    """All image uses with something to try, those together that try the same, and what ServiceAccounts list that no Pod
    has now."""
    refused = _refused(context)
    in_use = set[tuple[str, ...]]()
    # `Coverage` makes one object of equal matches.
    alike: dict[tuple[tuple[str, ...], str, int], list[ImageUse]] = {}
    for use in context.coverage.uses:
        named = use.pull_secrets.named
        in_use.add(named)
        if use.matches and use.image:
            alike.setdefault((named, use.image.registry, id(use.matches)), []).append(use)
    for (named, registry, _), uses in alike.items():
        yield _situation(context, named, registry, uses[0].matches, refused=refused, uses=tuple(uses))
    for names in dict.fromkeys(account.image_pull_secrets for account in context.snapshot.service_accounts.values()):
        if names in in_use:
            continue
        keys = dict.fromkeys(entry.key for name in names for entry in _entries(context, name) if entry.key)
        for registry in dict.fromkeys(registry_of_key(key) for key in keys if "*" not in key and "[" not in key):
            if matches := context.coverage.tried(names, f"{registry}/any/any"):
                yield _situation(context, names, registry, matches, refused=refused)


def spared(context: Context) -> frozenset[tuple[str, str]]:
    """(Secret, column) of expired credentials that stop no pull: wherever one is tried, another that lives is, too."""
    if "pods" in context.snapshot.unreadable:
        return frozenset()
    found: dict[tuple[str, str], bool] = {}
    for situation in situations(context):
        is_refused = any(use.is_refused for use in situation.uses)
        is_saved = not is_refused and situation.alive is not None
        for attempt in situation.attempts:
            if attempt.is_expired:
                key = (attempt.covering.secret, situation.column)
                found[key] = found.get(key, True) and is_saved
    return frozenset(key for key, is_saved in found.items() if is_saved)


def hidden_logins(context: Context, names: tuple[str, ...], matches: tuple[Covering, ...]) -> tuple[Covering, ...]:
    """Docker Hub's logins in the Secrets `names` that are not tried because `matches` are; not those that equal one."""
    if not matches or any(match.key == DOCKER_HUB_KEY for match in matches):
        return ()
    tried = {one.fingerprint for match in matches if (one := parsed_of(context, match))}
    found = (
        entry
        for name in dict.fromkeys(names)
        for entry in _entries(context, name)
        if entry.key == DOCKER_HUB_KEY and entry.logs_in
    )
    return tuple(one for one in found if (parsed := parsed_of(context, one)) and parsed.fingerprint not in tried)


def parsed_of(context: Context, match: Covering) -> ParsedCredential | None:
    """What the Secret's own text says of the credential at `match`."""
    first: ParsedCredential | None = None
    for one in context.snapshot.secrets[match.secret].credentials:
        if one.part == match.key:
            if one.username == match.username:
                return one
            first = first or one
    return first


def _situation(
    context: Context,
    names: tuple[str, ...],
    registry: str,
    matches: tuple[Covering, ...],
    *,
    refused: frozenset[tuple[str, str]],
    uses: tuple[ImageUse, ...] = (),
) -> Situation:
    return Situation(
        names=names,
        column=column("registry", registry),
        attempts=tuple(_attempt(context, match, refused) for match in matches),
        hidden=hidden_logins(context, names, matches) if registry == DOCKER_HUB else (),
        uses=uses,
    )


def _attempt(context: Context, match: Covering, refused: frozenset[tuple[str, str]] = frozenset()) -> Attempt:
    parsed = parsed_of(context, match)
    if parsed is None:
        return Attempt(covering=match)
    return Attempt(
        covering=match,
        fingerprint=parsed.fingerprint,
        expires_at=parsed.expires_at,
        is_expired=parsed.expires_at is not None and context.now >= parsed.expires_at,
        is_refused=(match.key, parsed.fingerprint) in refused,
    )


def _refused(context: Context) -> frozenset[tuple[str, str]]:
    """(key, fingerprint) of logins that a registry said no to: all that were tried for a pull that fails so."""
    return frozenset(
        (match.key, parsed.fingerprint)
        for use in context.coverage.failing
        if use.is_refused and use.failure and use.failure.cause in (Cause.AUTH_DENIED, Cause.AUTH_EXPIRED)
        for match in use.matches
        if match.logs_in and (parsed := parsed_of(context, match))
    )


def _entries(context: Context, name: str) -> tuple[Covering, ...]:
    secret = context.snapshot.secrets.get(name)
    entries = secret.entries if secret and secret.is_pull_secret else ()
    return tuple(
        Covering(secret=name, key=entry.key or "", username=entry.username, has_password=entry.has_password)
        for entry in entries
    )
