from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.ending import endings, problem


@check("CE02", "expiring-certificate", needs={"secrets"})
def expiring_certificate(context: Context) -> Iterator[Problem]:
    """A certificate in a Secret expires soon: the server's own, one of its chain, or the last of its authorities.

    Why it matters: clients refuse the connection from the first certificate of the chain that ends. cert-manager
    renews when a third of the lifetime is left, so a shorter rest means that something keeps it from doing so.
    How to fix: issue a new certificate and replace tls.crt and tls.key.
    """
    for ending in endings(context, of=lambda credential: credential.credential == "tls"):
        if not ending.is_over and ending.status is not Status.OK:
            yield problem(ending, what="certificate", now=context.now)
