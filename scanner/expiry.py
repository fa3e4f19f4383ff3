"""What a credential says by itself about when it ends: JWTs, ECR passwords, declared dates.

Signatures are not verified: the question is when a holder's credential stops working, not whether to trust it. Nothing
here keeps, logs or quotes a value.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from scanner.credential import DECLARED_EXPIRY, ParsedCredential, Unparsable

#: Longer values are not tokens: HTTP servers refuse headers of half this size.
MAX_TOKEN_BYTES: Final = 64 * 1024
#: Beyond this a NumericDate is almost surely in milliseconds (it would be a day after 2286).
_LAST_SECOND: Final = 9_999_999_999
#: Of ServiceAccount tokens that the token controller puts into Secrets; bound ones name the cluster's own issuer.
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"
ECR_LIFETIME: Final = timedelta(hours=12)
MILLISECONDS: Final = (
    "the token's exp lies after the year 2286, so it is probably in milliseconds; it is not taken as an expiry"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a JWT claims. `expires_at` None with an empty `flaw`: it claims to have no end (RFC 7519, 4.1.4).

    `flaw` says why a claimed expiry was not taken. `issued_at` is iat, else nbf; `starts_at` is nbf. `is_bound` and
    `is_legacy` tell the two kinds of Kubernetes ServiceAccount tokens; `intended_end` is the `warnafter` of a bound
    one, which the API server goes on to accept for a year for the sake of clients that do not read it again.
    """

    audience: str = ""
    issuer: str = ""
    expires_at: datetime | None = None
    issued_at: datetime | None = None
    starts_at: datetime | None = None
    flaw: str = ""
    is_bound: bool = False
    is_legacy: bool = False
    intended_end: datetime | None = None


class _Claims(msgspec.Struct, gc=False):
    exp: Any = None
    iat: Any = None
    nbf: Any = None
    aud: Any = None
    iss: Any = None
    kubernetes: Any = msgspec.field(default=None, name="kubernetes.io")


class _Header(msgspec.Struct, gc=False):
    alg: str


class _EcrPassword(msgspec.Struct, gc=False):
    payload: str
    expiration: int | float


_claims: Final = msgspec.json.Decoder(_Claims)
_header: Final = msgspec.json.Decoder(_Header)
_ecr: Final = msgspec.json.Decoder(_EcrPassword)


def looks_like_token(value: bytes) -> bool:
    """Quick and rough: False only for what `read_token` would answer with None."""
    # The header is a JSON object, so its base64url begins with that of "{" and a quote or white space.
    return len(value) <= MAX_TOKEN_BYTES and value.lstrip()[:2] in (b"ey", b"ew")


def read_token(value: bytes) -> Token | None:
    """Read `value` as a JWT in compact form (RFC 7519); None when it is not one. Five parts are a JWE: unreadable.

    exp and iat are NumericDates, that is numbers, also with a fraction (cut off here); a string is invalid.
    """
    if not looks_like_token(value):
        return None
    parts = value.strip().split(b".")
    if len(parts) != 3:
        return None
    try:
        _header.decode(_base64url(parts[0]))
        claims = _claims.decode(_base64url(parts[1]))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    expires_at, starts_at = _numeric_date(claims.exp), _numeric_date(claims.nbf)
    flaw = ""
    if claims.exp is not None and expires_at is None:
        is_number = isinstance(claims.exp, int | float) and not isinstance(claims.exp, bool)
        flaw = MILLISECONDS if is_number else "the token's exp is not a number, so when it ends is not known"
    kubernetes = claims.kubernetes if isinstance(claims.kubernetes, dict) else None
    audience = claims.aud[0] if isinstance(claims.aud, list) and claims.aud else claims.aud
    return Token(
        audience=audience if isinstance(audience, str) else "",
        issuer=claims.iss if isinstance(claims.iss, str) else "",
        expires_at=expires_at,
        issued_at=_numeric_date(claims.iat) or starts_at,
        starts_at=starts_at,
        flaw=flaw,
        is_bound=kubernetes is not None,
        is_legacy=claims.iss == LEGACY_ISSUER,
        intended_end=_numeric_date(kubernetes.get("warnafter")) if kubernetes else None,
    )


def read_ecr_password(value: str) -> datetime | None:
    """When an ECR login password ends (an undocumented form: base64 of JSON with `expiration`), else None."""
    value = value.strip()
    if len(value) > MAX_TOKEN_BYTES or not value.startswith("ey"):
        return None
    try:
        return _numeric_date(_ecr.decode(base64.b64decode(value, validate=True)).expiration)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


_DATE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<time>[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2}))?", re.ASCII
)


def declared_expiry(annotations: Mapping[str, str] | None) -> datetime | None:
    """The date in the annotation `credboard.dev/expires-at`, None without one.

    Takes RFC 3339 with an offset, or a bare date, which ends at 00:00 UTC at the *start* of that day: so do GitLab's
    tokens, and a date that is taken too early costs a warning, one taken too late a day of failing Pods.
    Raises `Unparsable` for anything else.
    """
    text = (annotations or {}).get(DECLARED_EXPIRY)
    if text is None:
        return None
    text = text.strip() if len(text) < 100 else text[:100]
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        if found["time"]:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unparsable(
            f"the annotation {DECLARED_EXPIRY} is neither a date such as 2030-01-31 "
            "nor a time with its offset such as 2030-01-31T12:00:00Z"
        ) from None


def limit_expiry(credential: ParsedCredential, annotations: Mapping[str, str] | None) -> ParsedCredential:
    """`credential`, ending when it says itself or when its Secret declares, whichever comes first.

    A declaration that cannot be read changes nothing here; the kind `declared` reports it.
    """
    if not annotations or DECLARED_EXPIRY not in annotations:
        return credential
    try:
        declared = declared_expiry(annotations)
    except Unparsable:
        return credential
    if declared is None or (credential.expires_at is not None and credential.expires_at <= declared):
        return credential
    return replace(credential, expires_at=declared, expiry_source="declared", issued_at=None, never_expires=False)


def unix_time(text: bytes) -> datetime | None:
    """Unix seconds as text, as External Secrets' generators write them; None for anything else."""
    text = text.strip() if len(text) < 100 else b""
    return _numeric_date(int(text)) if text.isdigit() and len(text) <= 10 else None


def _base64url(part: bytes) -> bytes:
    try:
        # JWTs leave the padding out (RFC 7515, 2); a stray one is not refused here, it changes no date.
        return base64.b64decode(part.rstrip(b"=") + b"=" * (-len(part.rstrip(b"=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _numeric_date(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= _LAST_SECOND:
        return None
    return datetime.fromtimestamp(max(int(value), 0), UTC)
