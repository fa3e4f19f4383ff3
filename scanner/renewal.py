"""Who renews a Secret, when it was last written, and so when those of its credentials end that do not say it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from scanner import raw
from scanner.credential import ParsedCredential
from scanner.words import shown

#: Says by hand what nothing else shows, for example "CronJob/ecr-login".
RENEWED_BY: Final = "credboard.dev/renewed-by"
_ANNOTATIONS: Final = {
    "cert-manager.io/certificate-name": "cert-manager",
    "reconcile.external-secrets.io/data-hash": "External Secrets",
    "openshift.io/internal-registry-auth-token.service-account": "OpenShift",
}
_MANAGED_LABEL: Final = "reconcile.external-secrets.io/managed"
_OWNERS: Final = {
    "ExternalSecret": "External Secrets",
    "Certificate": "cert-manager",
    "VaultDynamicSecret": "Vault Secrets Operator",
    "VaultPKISecret": "Vault Secrets Operator",
    "VaultStaticSecret": "Vault Secrets Operator",
    "CronJob": "CronJob",
}

#: Lifetimes of credentials that do not say when they end, from their issuers' documentation: the longest there can be.
LIFETIMES: Final = {
    "ecr_private": timedelta(hours=12),
    "ecr_public": timedelta(hours=12),
    "gcr_gar_access_token": timedelta(minutes=60),
    "acr_refresh_token": timedelta(hours=3),
}
_MINUTES: Final = timedelta(hours=1)
ONE_PULL: Final = (
    "it is a token of minutes, as a registry hands out for one pull; what logs in with it later is refused"
)


def renewer(metadata: raw.ObjectMeta) -> str:
    """What is seen to renew a Secret, in a few words; "" for nothing."""
    annotations = metadata.annotations
    if annotations:
        if declared := annotations.get(RENEWED_BY, "").strip():
            return shown(declared, 100)
        for name, words in _ANNOTATIONS.items():
            if name in annotations:
                return words
    if metadata.labels and metadata.labels.get(_MANAGED_LABEL) == "true":
        return "External Secrets"
    for owner in metadata.owner_references or ():
        if owner.kind in _OWNERS:
            words = _OWNERS[owner.kind]
            return f"{words} {shown(owner.name, 100)}" if words == owner.kind else words
    return ""


def written_at(metadata: raw.ObjectMeta) -> datetime | None:
    """When the data of a Secret was last changed; None when the API server did not say.

    The time of a managedFields entry moves when its manager changes a value that it owns (KEP-555).
    """
    times = [
        one.time
        for one in metadata.managed_fields or ()
        if one.time and one.fields_v1 and one.fields_v1.data is not None
    ]
    return max(times, default=None)


def completed(credential: ParsedCredential, metadata: raw.ObjectMeta) -> ParsedCredential:
    """`credential` with what only the Secret around it tells: a renewer, and an end worked out from its last write."""
    if renewed_by := renewer(metadata):
        credential = replace(credential, renewed_by=renewed_by)
    elif credential.kind == "docker-registry" and not credential.flaw and _lives_for_one_pull(credential):
        credential = replace(credential, flaw=ONE_PULL)
    lifetime = LIFETIMES.get(credential.identity)
    if lifetime is None:
        return credential
    if credential.expires_at is not None:
        if credential.issued_at is None and credential.expiry_source != "declared":
            credential = replace(credential, issued_at=credential.expires_at - lifetime)
        return credential
    written = written_at(metadata)
    start = written or metadata.creation_timestamp
    if start is None or credential.never_expires or credential.flaw:
        return credential
    return replace(
        credential,
        expires_at=_after(start, lifetime),
        expiry_source="derived",
        issued_at=start,
        is_guess=written is None,
    )


def _lives_for_one_pull(credential: ParsedCredential) -> bool:
    return (
        credential.expiry_source == "jwt"
        and credential.issued_at is not None
        and credential.expires_at is not None
        and credential.expires_at - credential.issued_at < _MINUTES
    )


def _after(start: datetime, lifetime: timedelta) -> datetime:
    try:
        return start + lifetime
    except OverflowError:
        return start
