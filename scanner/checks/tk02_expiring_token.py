from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.credential import JOBS_OWN
from scanner.ending import counts, endings, name, problem
from scanner.words import shown


@check("TK02", "expiring-token", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def expiring_token(context: Context) -> Iterator[Problem]:
    """A token, or a registry's credential that something refers to, expires soon.

    Why it matters: on that day whatever uses it is refused, usually when a Pod is made again at night.
    How to fix: issue a new credential and replace it in the Secret before. A login that lives hours, such as ECR's,
    needs something that renews it; name that in the annotation credboard.dev/renewed-by where it cannot be seen.
    Instead of the token of a GitLab CI job, store a deploy token.
    """
    for secret, credential in context.notable:
        if credential.identity == JOBS_OWN and credential.expires_at is None and counts(context, secret):
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.WARNING,
                reason="expiring",
                message=f"{name(secret, credential, what='credential')} is the token of a GitLab CI job, "
                "which ends when the job does.",
                credential=credential.credential,
                details={"secret": secret.name, "part": shown(credential.part)},
            )
    for ending in endings(context, of=lambda credential: credential.credential != "tls"):
        if not ending.is_over and ending.status is not Status.OK:
            yield problem(ending, what="credential", now=context.now)
