"""What the generators of External Secrets write: short-lived logins with the time of their end beside them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, column, credential_kind
from scanner.expiry import unix_time

#: Where each generator writes the end (as unix seconds in text), beside which keys, and how long its logins live.
_GENERATORS: Final = (
    ("expires_at", frozenset({"username", "password", "proxy_endpoint"}), timedelta(hours=12)),  # ECRAuthorizationToken
    ("expires_at", frozenset({"username", "password"}), timedelta(hours=12)),
    ("expiry", frozenset({"username", "password"}), timedelta(hours=1)),  # GCRAccessToken
    ("expiry", frozenset({"registry", "auth"}), timedelta(hours=1)),  # QuayAccessToken
    # STSSessionToken; where it holds an access key of AWS's own form, the kind `aws` tells it.
    ("expiration", frozenset({"access_key_id", "session_token"}), None),
)


@credential_kind("external-secrets", "External Secrets login", secret_types=["Opaque"], forms=["expiry"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """The credential `secret/<name>` of a Secret with the keys of a generator and an end that is a unix time."""
    data = secret.data or {}
    for key, companions, lifetime in _GENERATORS:
        expires_at = unix_time(data.get(key, b""))
        if expires_at is None or not companions <= data.keys():
            continue
        if data.get("access_key_id", b"").startswith((b"ASIA", b"AKIA")):
            return
        yield ParsedCredential(
            kind="external-secrets",
            credential=column("secret", secret.metadata.name),
            part=key,
            expires_at=expires_at,
            expiry_source="external-secrets",
            issued_at=expires_at - lifetime if lifetime else None,
            fingerprint=fingerprint(*(data[name] for name in sorted(companions))),
        )
        return
