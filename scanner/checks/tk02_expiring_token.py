from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.ending import endings, problem


@check("TK02", "expiring-token", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def expiring_token(context: Context) -> Iterator[Problem]:
    """A token, or a registry's credential that something refers to, expires soon.

    Why it matters: on that day whatever uses it is refused, usually when a Pod is made again at night.
    How to fix: issue a new credential and replace it in the Secret before. A login that lives hours, such as ECR's,
    needs something that renews it.
    """
    for ending in endings(context, of=lambda credential: credential.credential != "tls"):
        if not ending.is_over and ending.status is not Status.OK:
            yield problem(ending, what="credential", now=context.now)
