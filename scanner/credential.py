"""What a credential is, and what a credential kind knows about it.

A kind is one file in `scanner/credentials/`: it says which Secrets it recognises, reads them into `ParsedCredential`
(which cannot hold a value) and builds the data of a new Secret from what a person typed into its fields.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from scanner import raw
from scanner.form import Form

#: Where an end is written: in a certificate, a JWT, an ECR password, the annotation; in a kubeconfig or keystore;
#: beside the credential by External Secrets; in a bootstrap token; in a label of the token controller ("invalidated").
#: "derived": nowhere, it is the time of the last write and the lifetime of such credentials.
ExpirySource = Literal[
    "",
    "x509",
    "jwt",
    "ecr",
    "declared",
    "kubeconfig",
    "pkcs12",
    "jks",
    "external-secrets",
    "bootstrap",
    "invalidated",
    "derived",
]
#: How sure an end is. "derived": worked out from the last write; "guess": from the creation, the last write is
#: not known.
Confidence = Literal["", "read", "declared", "derived", "guess"]
#: What is wrong with a credential whose end is not the matter, in words for checks.
Fault = Literal["", "key-mismatch", "incomplete-chain", "no-session-token"]
DECLARED_EXPIRY: Final = "credboard.dev/expires-at"
SHORT_LIFETIME: Final = timedelta(days=2)
YEAR: Final = timedelta(days=366)
#: The identity of what ends with a job of GitLab CI, nobody knows when.
JOBS_OWN: Final = "gitlab_ci_job_token"
#: In `CredentialKind.secret_types`: Secrets of every type are shown to the kind.
ANY_TYPE: Final = "*"
#: Longest name of a column that is made of what a cluster object holds.
MAX_COLUMN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCredential:
    """One credential found in a Secret, without its value.

    `credential` is its column of the matrix ("registry/quay.io", "tls", "token/kubernetes"); `part` says where in the
    Secret it stands (an auths key, a data key). `expires_at` is aware UTC; None means that no expiry is known, unless
    `never_expires` says that the credential itself promises to have none. `fingerprint` is a keyed hash: equal values
    have equal fingerprints within one installation, and nothing can be computed back from it. `issued_at` is known of
    some tokens only; with it a token of hours can be told from one of years. Before `starts_at` it is refused. `flaw`
    says in words what is odd about a credential that could be read.

    `identity` is what `scanner.password.identify` takes it for ("harbor_robot", "k8s_bound_sa_token"), "" where that
    is not asked. `intended_end` is when a token was meant to be replaced although it is accepted for longer
    (`warnafter` of bound ServiceAccount tokens). `renewed_by` names what renews the Secret, "" when nothing is seen to.
    """

    kind: str
    credential: str
    part: str = ""
    username: str = ""
    expires_at: datetime | None = None
    expiry_source: ExpirySource = ""
    issued_at: datetime | None = None
    starts_at: datetime | None = None
    never_expires: bool = False
    fingerprint: str = ""
    flaw: str = ""
    identity: str = ""
    intended_end: datetime | None = None
    fault: Fault = ""
    renewed_by: str = ""
    is_guess: bool = False

    @property
    def confidence(self) -> Confidence:
        """How sure `expires_at` is; "" when no end is known."""
        if self.expires_at is None:
            return ""
        if self.expiry_source == "derived":
            return "guess" if self.is_guess else "derived"
        return "declared" if self.expiry_source == "declared" else "read"

    @property
    def is_long_lived(self) -> bool:
        """A token or client certificate without an end, or of more than a year."""
        if self.never_expires:
            return True
        if not self.identity or self.expires_at is None or self.issued_at is None or self.expiry_source == "derived":
            return False
        return self.expires_at - self.issued_at > YEAR

    @property
    def is_notable(self) -> bool:
        """There is something about it besides an end that a check may tell."""
        return bool(
            self.fault
            or self.intended_end
            or self.identity == JOBS_OWN
            or self.expiry_source == "invalidated"
            or self.is_long_lived
        )

    @property
    def is_short_lived(self) -> bool:
        """Issued for two days at most, as ECR's and bound tokens are; something has to renew it."""
        return (
            self.issued_at is not None
            and self.expires_at is not None
            and self.expires_at - self.issued_at <= SHORT_LIFETIME
        )


class Unparsable(Exception):
    """A Secret claims to be of a kind and cannot be read as one. The text says what is wrong, never a value.

    `credential` is the column that the readable credential would have.
    """

    def __init__(self, words: str, *, credential: str = "") -> None:
        super().__init__(words)
        self.credential = credential


def column(family: str, name: str) -> str:
    """The column "family/name", safe to show whatever a cluster object put into `name`: one line, bounded."""
    if len(name) <= MAX_COLUMN and name.isprintable():
        return f"{family}/{name}"
    clean = "".join(character if character.isprintable() else "\ufffd" for character in name[:MAX_COLUMN])
    return f"{family}/{clean}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Keyed hash of secret values (HMAC-SHA-256, first 16 hex digits), to tell "same credential" apart."""

    key: bytes = field(repr=False)

    def __call__(self, *values: str | bytes) -> str:
        message = b"\0".join(v if isinstance(v, bytes) else v.encode("utf-8", "surrogatepass") for v in values)
        return hmac.digest(self.key, message, hashlib.sha256).hex()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of the form that creates a Secret of a kind. `secret` ones are never shown back."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    multiline: bool = False


Reader = Callable[[raw.Secret, Fingerprint], Iterable[ParsedCredential]]
#: Field values, and under "registry" the registry at hand (a host as in the column) when one is, to Secret data.
Builder = Callable[[Mapping[str, str]], dict[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialKind:
    """A way of being a credential. `secret_types` are the Secret types it reads; a Secret is shown to every kind of its
    type (`ANY_TYPE`: of all), if one of its values may be of one of the `forms` (all are when there are none: see
    `scanner.form`). `build` turns field values into Secret data and raises `Unparsable` with words for the
    person who typed."""

    slug: str
    label: str
    secret_types: frozenset[str]
    read: Reader
    fields: tuple[Field, ...] = ()
    creates: str = ""
    build: Builder | None = None
    forms: frozenset[Form] = frozenset()


_kinds: dict[str, CredentialKind] = {}


def credential_kind(
    slug: str,
    label: str,
    *,
    secret_types: Iterable[str],
    fields: tuple[Field, ...] = (),
    creates: str = "",
    build: Builder | None = None,
    forms: Iterable[Form] = (),
) -> Callable[[Reader], Reader]:
    """Register the decorated reader as a credential kind. A slug can be taken once."""

    def register(read: Reader) -> Reader:
        if slug in _kinds:
            raise RuntimeError(f"The credential kind {slug!r} is registered twice")
        _kinds[slug] = CredentialKind(
            slug=slug,
            label=label,
            secret_types=frozenset(secret_types),
            read=read,
            fields=fields,
            creates=creates,
            build=build,
            forms=frozenset(forms),
        )
        return read

    return register


@cache
def credential_kinds() -> Mapping[str, CredentialKind]:
    """All kinds by slug: the files of `scanner/credentials/`."""
    package = importlib.import_module("scanner.credentials")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return MappingProxyType(_kinds)
