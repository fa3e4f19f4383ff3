from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.credential import ParsedCredential
from scanner.snapshot import Secret
from scanner.words import shown


@check("TK03", "legacy-token-secret", needs={"secrets"})
def legacy_token_secret(context: Context) -> Iterator[Problem]:
    """A Secret holds a ServiceAccount token without an end.

    Why it matters: whoever reads it once, in a backup or a log, can use it for as long as the Secret is there. Since
    Kubernetes 1.24 none is made unasked, and one that nobody uses for a year is refused and a year later deleted.
    How to fix: let the workload use a projected token, which the kubelet renews, or kubectl create token; then
    delete the Secret.
    """
    for secret, credential in context.notable:
        if credential.kind == "service-account-token" and (words := _words(secret, credential)):
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.WARNING,
                reason="long-lived" if credential.never_expires else "expired",
                message=words,
                credential=credential.credential,
                expires_at=credential.expires_at,
                details={"secret": secret.name, "last_used_on": shown(secret.last_used_on, 20)},
            )


def _words(secret: Secret, credential: ParsedCredential) -> str:
    name = shown(secret.name)
    if credential.expiry_source == "invalidated" and credential.expires_at is not None:
        since = f"since {credential.expires_at:%Y-%m-%d}: nobody used it for a year"
        return f"The API server refuses the ServiceAccount token in Secret {name} {since}."
    if not credential.never_expires:
        return ""
    used = f"; it was last used on {shown(secret.last_used_on, 20)}" if secret.last_used_on else ""
    return f"Secret {name} holds a ServiceAccount token that never ends{used}."
