"""Reading Secrets: here their values end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from secrets import token_bytes
from typing import Final

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
from scanner.credentials import docker_registry
from scanner.credentials.service_account_token import LAST_USED
from scanner.credentials.service_account_token import TYPE as SERVICE_ACCOUNT_TOKEN
from scanner.docker_config import DATA_KEYS, Entry, MalformedPullSecret, parse_entries
from scanner.form import Form, forms_of
from scanner.misfit import Misfit, find_misfit
from scanner.renewal import completed, written_at
from scanner.snapshot.picture import PULL_SECRET_TYPES, PullEntry, Secret, Unread

OPAQUE: Final = "Opaque"


@cache
def _kinds_of(secret_type: str, forms: frozenset[Form]) -> tuple[CredentialKind, ...]:
    return tuple(
        kind
        for kind in credential_kinds().values()
        if (secret_type in kind.secret_types or ANY_TYPE in kind.secret_types)
        and not (kind.forms and kind.forms.isdisjoint(forms))
    )


def read_secret(secret: raw.Secret, fingerprint: Fingerprint) -> Secret:
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
    secret: raw.Secret, fingerprint: Fingerprint, entries: Sequence[Entry] = ()
) -> tuple[tuple[ParsedCredential, ...], tuple[Unread, ...]]:
    """`entries` are those of a pull Secret, which are not to be read twice."""
    credentials: list[ParsedCredential] = []
    unparsable: list[Unread] = []
    # To the API server a type of somebody's own is as good as Opaque, so it may hold the same. The types of strangers
    # must not fill the cache of kinds.
    for kind in _kinds_of(secret.type if secret.type in _KNOWN_TYPES else OPAQUE, forms_of(secret.data)):
        try:
            if kind.read is docker_registry.read:
                credentials += docker_registry.read_entries(entries, secret, fingerprint)
            else:
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
        parsed: tuple[Entry, ...] = ()
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
        known = (entries, malformed, misfit, *_credentials(secret, fingerprint, parsed))
        if len(_memory) >= _MEMORY_SIZE:
            _memory.clear()
        _memory[key] = known
    return known
