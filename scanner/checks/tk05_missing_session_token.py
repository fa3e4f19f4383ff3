from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.words import shown


@check("TK05", "missing-session-token", needs={"secrets"})
def missing_session_token(context: Context) -> Iterator[Problem]:
    """A temporary AWS access key is stored without its session token.

    Why it matters: AWS answers InvalidClientTokenId (S3: InvalidAccessKeyId) to a key that begins with ASIA and comes
    without the token it was issued with.
    How to fix: store all three values, under AWS_SESSION_TOKEN the token; or use a key that lasts, or a role of the
    ServiceAccount.
    """
    for secret, credential in context.notable:
        if credential.fault == "no-session-token":
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.CRITICAL,
                reason="malformed",
                message=f"The access key in {shown(credential.part)} of Secret {shown(secret.name)} is temporary, "
                "and its session token is not in the Secret.",
                credential=credential.credential,
                details={"secret": secret.name, "part": shown(credential.part)},
            )
