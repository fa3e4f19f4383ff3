from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.ending import counts, name
from scanner.words import shown

#: Clocks differ by so much; cert-manager and public authorities date their certificates back by an hour.
_CLOCKS: Final = timedelta(minutes=5)


@check("CE05", "not-yet-valid", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def not_yet_valid(context: Context) -> Iterator[Problem]:
    """A certificate or token in a Secret is not valid yet.

    Why it matters: until that time it is refused as if it had expired, and the messages are the same ("has expired or
    is not yet valid"). Of a chain the last certificate to become valid counts.
    How to fix: put back the one before until then. If it was issued just now, the clock of whoever issued it is fast.
    """
    for secret, credential in context.ending:
        start = credential.starts_at
        if start is None or start - context.now <= _CLOCKS or not counts(context, secret):
            continue
        what = "certificate" if credential.credential == "tls" else "credential"
        yield Problem(
            object=f"Secret/{secret.name}",
            status=Status.CRITICAL,
            reason="malformed",
            message=f"{name(secret, credential, what=what)} is not valid before {start:%Y-%m-%d %H:%M} UTC.",
            credential=credential.credential,
            expires_at=credential.expires_at,
            details={"secret": secret.name, "part": shown(credential.part)},
        )
