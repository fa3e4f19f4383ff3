from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.words import shown


@check("CE03", "key-mismatch", needs={"secrets"})
def key_mismatch(context: Context) -> Iterator[Problem]:
    """The private key in a TLS Secret does not belong to its certificate.

    Why it matters: servers refuse to start with such a pair, and ingress controllers serve a certificate of their own
    instead. Only the first certificate of tls.crt counts, so the wrong order has the same effect.
    How to fix: replace tls.crt and tls.key together, the server's own certificate first.
    """
    for secret, credential in context.notable:
        if credential.fault == "key-mismatch":
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.CRITICAL,
                reason="malformed",
                message=f"The private key in Secret {shown(secret.name)} is not that of the first certificate.",
                credential=credential.credential,
                expires_at=credential.expires_at,
                details={"secret": secret.name, "part": "tls.key"},
            )
