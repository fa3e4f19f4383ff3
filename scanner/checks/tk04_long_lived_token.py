from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from scanner.check import Context, Problem, Status, check
from scanner.credential import ParsedCredential
from scanner.ending import counts, name
from scanner.snapshot import Secret
from scanner.words import shown


@check("TK04", "long-lived-token", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def long_lived_token(context: Context) -> Iterator[Problem]:
    """A token or client certificate has no end, one in more than a year, or is used past the end it was meant to have.

    Why it matters: once it leaks it can be used for as long. The API server accepts a Pod's own token for a year only
    for the sake of old clients; a copy of one in a Secret is never renewed, and stops without warning.
    How to fix: issue one that ends within months, or let something renew it. Instead of a copy of a Pod's token, let
    the workload read the projected token from its file each time.
    """
    for secret, credential in context.notable:
        if credential.kind == "service-account-token" and credential.never_expires:
            continue
        if (words := _words(secret, credential, now=context.now)) and counts(context, secret):
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.WARNING,
                reason="long-lived",
                message=f"{name(secret, credential, what='credential')} {words}.",
                credential=credential.credential,
                expires_at=credential.expires_at,
                details={"secret": secret.name, "part": shown(credential.part)},
            )


def _words(secret: Secret, credential: ParsedCredential, *, now: datetime) -> str:
    end, issued, intended = credential.expires_at, credential.issued_at, credential.intended_end
    if intended is not None:
        if now < intended or end is None or now >= end:
            return ""
        return (
            f"is a Pod's own token that was to be replaced by {intended:%Y-%m-%d %H:%M} UTC; "
            f"the API server accepts it until {end:%Y-%m-%d}"
        )
    if not credential.is_long_lived:
        return ""
    if end is None or issued is None:
        return "never ends"
    return f"lives {(end - issued).days} days, until {end:%Y-%m-%d}" if now < end else ""
