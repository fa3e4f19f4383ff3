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

_SOURCES: Final = {"declared": " (as declared)", "ecr": " (an ECR login lives 12 hours)"}


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

    A registry's credential counts only while something refers to its Secret. A token that lives hours only counts as
    ending when nothing is seen to renew it and the last quarter of its life has begun: days left say nothing about it.
    """
    first: dict[tuple[str, str], tuple[datetime, Secret, ParsedCredential]] = {}
    for secret, credential in context.ending:
        end = credential.expires_at
        if end is None or not of(credential) or not _counts(context, secret):
            continue
        key = (secret.name, credential.credential)
        if key not in first or end < first[key][0]:
            first[key] = (end, secret, credential)
    for end, secret, credential in first.values():
        is_over = context.now >= end
        status = Status.CRITICAL if is_over else _status(context, secret, credential, end)
        yield Ending(secret=secret, credential=credential, expires_at=end, status=status, is_over=is_over)


def problem(ending: Ending, *, what: str, now: datetime) -> Problem:
    """What there is to say of an ending that is over or near. `what` names the kind of thing: "certificate"."""
    credential, end = ending.credential, ending.expires_at
    for_what = credential.credential.partition("/")[2]
    name = f"The {what} in Secret {shown(ending.secret.name)}"
    if for_what and credential.credential != f"secret/{ending.secret.name}":
        name += f" for {shown(for_what)}"
    when = f"{end:%Y-%m-%d %H:%M} UTC, {days(end, now=now)}{_SOURCES.get(credential.expiry_source, '')}"
    message = f"{name} {'expired' if ending.is_over else 'expires'} on {when}."
    if credential.is_short_lived and not ending.is_over:
        message += " It lives hours only, and nothing is seen to renew it."
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
        },
    )


def _counts(context: Context, secret: Secret) -> bool:
    return not secret.is_pull_secret or secret.name in context.coverage.referring


def _status(context: Context, secret: Secret, credential: ParsedCredential, end: datetime) -> Status:
    left = end - context.now
    if credential.is_short_lived and credential.issued_at is not None:
        lifetime = end - credential.issued_at
        was_renewed = secret.created_at is not None and credential.issued_at - secret.created_at > lifetime / 10
        return Status.OK if was_renewed or left > lifetime / 4 else Status.WARNING
    if left <= context.policy.expiring_critical:
        return Status.CRITICAL
    return Status.WARNING if left <= context.policy.expiring_warning else Status.OK
