"""JWTs under any key of an Opaque Secret."""

from __future__ import annotations

from collections.abc import Iterator

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, column, credential_kind
from scanner.expiry import Token, looks_like_token, read_token
from scanner.form import MAX_KEYS
from scanner.password import identify


@credential_kind("opaque-jwt", "Token", secret_types=["Opaque"], forms=["token"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each value that is a JWT in compact form."""
    for _, (key, value) in zip(range(MAX_KEYS), (secret.data or {}).items(), strict=False):
        if looks_like_token(value) and (token := read_token(value)) is not None:
            yield ParsedCredential(
                kind="opaque-jwt",
                credential=column("token", _name(token, key)),
                part=key,
                expires_at=token.expires_at,
                expiry_source="jwt" if token.expires_at else "",
                issued_at=token.issued_at,
                starts_at=token.starts_at,
                never_expires=token.expires_at is None and not token.flaw,
                fingerprint=fingerprint(value.strip()),
                flaw=token.flaw,
                identity=identify(value.decode("ascii", "replace")).kind,
                intended_end=token.intended_end,
            )


def _name(token: Token, key: str) -> str:
    """What the token is for: its audience, else the host of its issuer, else the data key."""
    if token.is_legacy:
        return "kubernetes"
    return _host(token.audience) or _host(token.issuer) or key


def _host(name: str) -> str:
    """`https://kubernetes.default.svc/x` is kubernetes.default.svc; what is no URL stays."""
    scheme, separator, rest = name.strip().partition("://")
    # A URL may carry user name and password before the host.
    return rest.partition("/")[0].rpartition("@")[2] if separator else scheme
