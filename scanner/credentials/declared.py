"""Secrets whose end somebody wrote down in the annotation `credboard.dev/expires-at`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner import raw
from scanner.credential import (
    ANY_TYPE,
    DECLARED_EXPIRY,
    Fingerprint,
    ParsedCredential,
    Unparsable,
    column,
    credential_kind,
)
from scanner.expiry import declared_expiry

#: The kinds of these types give their own credentials the declared end.
_LIMITED: Final = frozenset(
    {
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/dockercfg",
        "kubernetes.io/tls",
        "kubernetes.io/service-account-token",
    }
)


@credential_kind("declared", "Declared expiry", secret_types=[ANY_TYPE])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """The credential `secret/<name>` of a Secret with a declared end, unless its type has a kind that applies it.

    For every type it is this kind that reports an annotation that cannot be read.
    """
    annotations = secret.metadata.annotations
    if not annotations or DECLARED_EXPIRY not in annotations:
        return
    name = column("secret", secret.metadata.name)
    try:
        expires_at = declared_expiry(annotations)
    except Unparsable as error:
        raise Unparsable(str(error), credential=name) from None
    if secret.type not in _LIMITED:
        values = (part for item in sorted((secret.data or {}).items()) for part in item)
        yield ParsedCredential(
            kind="declared",
            credential=name,
            expires_at=expires_at,
            expiry_source="declared",
            fingerprint=fingerprint(*values),
        )
