"""Tokens of ServiceAccounts that are stored in a Secret: long-lived unless the JWT says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, credential_kind
from scanner.expiry import limit_expiry, read_token

COLUMN: Final = "token/kubernetes"
TYPE: Final = "kubernetes.io/service-account-token"


@credential_kind("service-account-token", "ServiceAccount token", secret_types=[TYPE])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential, or none while the controller has not yet put the token in (it does so moments after creation)."""
    value = (secret.data or {}).get("token", b"")
    if not value:
        return
    token = read_token(value)
    if token is None:
        raise Unparsable("its token is not a JWT", credential=COLUMN)
    credential = ParsedCredential(
        kind="service-account-token",
        credential=COLUMN,
        part="token",
        expires_at=token.expires_at,
        expiry_source="jwt" if token.expires_at else "",
        issued_at=token.issued_at,
        never_expires=token.expires_at is None and not token.flaw,
        fingerprint=fingerprint(value),
        flaw=token.flaw,
    )
    yield limit_expiry(credential, secret.metadata.annotations)
