from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, check
from scanner.ending import endings, problem


@check("CE01", "expired-certificate", needs={"secrets"})
def expired_certificate(context: Context) -> Iterator[Problem]:
    """A certificate in a Secret has expired: the server's own, one of its chain, or the last of its authorities.

    Why it matters: clients refuse the connection from the first certificate of the chain that ends. Authorities
    (ca.crt, a truststore) are of use until the last of them ends. Java keystores and PKCS#12 files are read as well.
    How to fix: issue a new certificate and replace tls.crt and tls.key; with cert-manager, look why it did not renew.
    """
    for ending in endings(context, of=lambda credential: credential.credential == "tls"):
        if ending.is_over:
            yield problem(ending, what="certificate", now=context.now)
