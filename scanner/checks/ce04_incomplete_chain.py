from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.words import shown


@check("CE04", "incomplete-chain", needs={"secrets"})
def incomplete_chain(context: Context) -> Iterator[Problem]:
    """tls.crt lacks the intermediate certificate that issued the server's own.

    Why it matters: browsers often have it from elsewhere and connect; curl, Java and containerd do not, and refuse.
    It is only told where it is certain: of certificates of public authorities, whose roots sign no server directly, and
    where ca.crt shows that the issuer is itself issued by another.
    How to fix: append the intermediate certificates to tls.crt after the server's own; the root can stay out.
    """
    for secret, credential in context.notable:
        if credential.fault == "incomplete-chain":
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.WARNING,
                reason="malformed",
                message=f"The chain in Secret {shown(secret.name)} lacks the intermediate that issued its first one.",
                credential=credential.credential,
                expires_at=credential.expires_at,
                details={"secret": secret.name, "part": "tls.crt"},
            )
