"""Bootstrap tokens, with which new nodes join a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner import raw
from scanner.credential import DECLARED_EXPIRY, Fingerprint, ParsedCredential, Unparsable, credential_kind
from scanner.expiry import declared_expiry

COLUMN: Final = "token/bootstrap"
TYPE: Final = "bootstrap.kubernetes.io/token"


@credential_kind("bootstrap-token", "Bootstrap token", secret_types=[TYPE])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential, which ends at `expiration` (RFC 3339); without that key it never does."""
    data = secret.data or {}
    text = data.get("expiration", b"")[:100].decode("utf-8", "replace")
    try:
        # Where only a date stands, the API server takes the token as expired (`bootstrap/token/util.HasExpired`).
        if text and "T" not in text:
            raise Unparsable("")
        expires_at = declared_expiry({DECLARED_EXPIRY: text}) if text else None
    except Unparsable:
        raise Unparsable("its expiration is no time such as 2030-01-31T12:00:00Z", credential=COLUMN) from None
    yield ParsedCredential(
        kind="bootstrap-token",
        credential=COLUMN,
        part="expiration" if expires_at else "token-secret",
        expires_at=expires_at,
        expiry_source="bootstrap" if expires_at else "",
        never_expires=expires_at is None,
        fingerprint=fingerprint(data.get("token-id", b""), data.get("token-secret", b"")),
    )
