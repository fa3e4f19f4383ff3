"""Which credentials of a namespace have ended or end soon, for the checks about tokens and certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scanner.check import Context, Problem, Status
from scanner.credential import ParsedCredential
from scanner.snapshot import Secret
from scanner.words import days, shown

_SOURCES: Final = {
    "x509": "read from the certificate",
    "jwt": "read from the token",
    "ecr": "read from the ECR password",
    "declared": "as declared",
    "kubeconfig": "read from the kubeconfig",
    "pkcs12": "read from the keystore",
    "jks": "read from the keystore",
    "external-secrets": "as External Secrets wrote beside it",
}
_DERIVED: Final = {
    "ecr_private": "12 h after it was written, as ECR tokens last",
    "ecr_public": "12 h after it was written, as ECR tokens last",
    "gcr_gar_access_token": "60 min after it was written, as Google access tokens last at most",
    "acr_refresh_token": "3 h after it was written, as ACR tokens last",
}
#: Ends that are no trouble of this kind: what is meant to end, and what TK03 tells.
_OTHERS: Final = frozenset({"bootstrap", "invalidated"})
#: What is left of the life of a credential when whatever renews it is late: a twentieth, 36 minutes of ECR's 12 hours.
_LATE: Final = 20
_AUTHORITY: Final = ": certificate-authority-data"
_UNRENEWED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A credential that counts and has an end. `status` is ok while that is far away."""

    secret: Secret
    credential: ParsedCredential
    expires_at: datetime
    status: Status
    is_over: bool


def endings(context: Context, *, of: Callable[[ParsedCredential], bool]) -> Iterator[Ending]:
    """For each Secret and column the credential that ends first, of those that `of` takes.

    A registry's credential counts only while something refers to its Secret. Of a token that lives hours only, days
    left say nothing: it counts as ending when nothing is seen to renew it and the last quarter of its life has begun,
    or when what renews it is late. An end worked out from the creation of a Secret is a warning at most: it may have
    been written again since.
    """
    first: dict[tuple[str, str], tuple[datetime, Secret, ParsedCredential]] = {}
    for secret, credential in context.ending:
        end = credential.expires_at
        if end is None or credential.expiry_source in _OTHERS or not of(credential) or not counts(context, secret):
            continue
        key = (secret.name, credential.credential)
        if key not in first or end < first[key][0]:
            first[key] = (end, secret, credential)
    for end, secret, credential in first.values():
        is_over = context.now >= end
        status = Status.CRITICAL if is_over else _status(context, secret, credential, end)
        if credential.confidence == "guess" and status is Status.CRITICAL:
            status = Status.WARNING
        yield Ending(secret=secret, credential=credential, expires_at=end, status=status, is_over=is_over)


def problem(ending: Ending, *, what: str, now: datetime) -> Problem:
    """What there is to say of an ending that is over or near. `what` names the kind of thing: "certificate"."""
    credential, end = ending.credential, ending.expires_at
    verb = "expired" if ending.is_over else "expires"
    if credential.confidence == "guess":
        verb = f"probably {verb}"
    when = f"{end:%Y-%m-%d %H:%M} UTC, {days(end, now=now)} ({_source(credential)})"
    message = f"{name(ending.secret, credential, what=what)} {verb} on {when}."
    if words := _renewal(ending):
        message += f" {words}"
    return Problem(
        object=f"Secret/{ending.secret.name}",
        status=ending.status,
        reason="expired" if ending.is_over else "expiring",
        message=message,
        credential=credential.credential,
        expires_at=end,
        details={
            "secret": ending.secret.name,
            "part": shown(credential.part),
            "username": shown(credential.username),
            "expiry_source": credential.expiry_source,
            "confidence": credential.confidence,
            "renewed_by": credential.renewed_by,
        },
    )


def name(secret: Secret, credential: ParsedCredential, *, what: str) -> str:
    """ "The credential in Secret s for quay.io", "The certificate in ca.crt of Secret s"."""
    place = f"Secret {shown(secret.name)}"
    if credential.kind == "kubeconfig" and credential.part.endswith(_AUTHORITY):
        return f"The authority's certificate in the kubeconfig in {place}"
    if credential.credential == "tls":
        return f"The {what} in {place if credential.part == 'tls.crt' else f'{shown(credential.part)} of {place}'}"
    for_what = credential.credential.partition("/")[2]
    is_named = for_what and credential.credential != f"secret/{secret.name}"
    return f"The {what} in {place} for {shown(for_what)}" if is_named else f"The {what} in {place}"


def _source(credential: ParsedCredential) -> str:
    if credential.expiry_source != "derived":
        return _SOURCES.get(credential.expiry_source, "read from it")
    words = _DERIVED.get(credential.identity, "from when it was written")
    return f"{words}; the last write is not known, so from its creation" if credential.confidence == "guess" else words


def _renewal(ending: Ending) -> str:
    credential = ending.credential
    if credential.renewed_by:
        return f"{credential.renewed_by} has not renewed it."
    if not credential.is_short_lived or ending.is_over:
        return ""
    if _was_renewed(ending.secret, credential):
        return "It lives hours only; it was renewed before, and not this time."
    return "It lives hours only, and nothing is seen to renew it."


def counts(context: Context, secret: Secret) -> bool:
    """Whether the credentials of a Secret matter: those of a pull Secret do while something refers to it."""
    return not secret.is_pull_secret or secret.name in context.coverage.referring


def _was_renewed(secret: Secret, credential: ParsedCredential) -> bool:
    """The credential was issued well after its Secret was made."""
    if credential.expires_at is None or credential.issued_at is None or secret.created_at is None:
        return False
    return credential.issued_at - secret.created_at > (credential.expires_at - credential.issued_at) / 10


def _status(context: Context, secret: Secret, credential: ParsedCredential, end: datetime) -> Status:
    left = end - context.now
    thresholds = context.policy.thresholds_of(credential.kind)
    critical, warning = thresholds.critical, thresholds.warning
    if credential.issued_at is not None:
        lifetime = end - credential.issued_at
        if credential.is_short_lived:
            is_renewed = credential.renewed_by or _was_renewed(secret, credential)
            return Status.OK if left > lifetime / (_LATE if is_renewed else _UNRENEWED) else Status.WARNING
        if credential.renewed_by:
            # cert-manager renews when a third of the lifetime is left; of a certificate of a month that is ten days.
            critical, warning = min(critical, lifetime / 12), min(warning, lifetime / 4)
    if left <= critical:
        return Status.CRITICAL
    return Status.WARNING if left <= warning else Status.OK
