"""Tokens of ServiceAccounts that are stored in a Secret: long-lived unless the JWT says otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, credential_kind
from scanner.expiry import limit_expiry, read_token

COLUMN: Final = "token/kubernetes"
INVALID_SINCE: Final = "kubernetes.io/legacy-token-invalid-since"
LAST_USED: Final = "kubernetes.io/legacy-token-last-used"
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
        starts_at=token.starts_at,
        never_expires=token.expires_at is None and not token.flaw,
        fingerprint=fingerprint(value),
        flaw=token.flaw,
        identity="k8s_bound_sa_token" if token.is_bound else "k8s_legacy_sa_secret",
        intended_end=token.intended_end,
    )
    invalid_since = _invalid_since(secret.metadata.labels)
    if invalid_since is not None and credential.never_expires:
        credential = replace(
            credential, expires_at=invalid_since, expiry_source="invalidated", issued_at=None, never_expires=False
        )
    yield limit_expiry(credential, secret.metadata.annotations)


def _invalid_since(labels: Mapping[str, str] | None) -> datetime | None:
    """The day since which the API server refuses a token that was not used for a year (legacy-token-cleaner)."""
    text = (labels or {}).get(INVALID_SINCE, "")
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if len(text) == 10 else None
    except ValueError:
        return None
