from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, check
from scanner.ending import endings, problem
from scanner.trying import spared


@check("TK01", "expired-token", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def expired_token(context: Context) -> Iterator[Problem]:
    """A token, or a registry's credential that something refers to, has expired.

    Why it matters: whatever uses it is refused. The kubelet goes on trying it, and a stale entry breaks even the
    pull of a public image, because with an entry that matches it never pulls anonymously.
    How to fix: issue a new credential and replace it in the Secret. If the date is a declared one, correct the
    annotation credboard.dev/expires-at.
    """
    over = [one for one in endings(context, of=lambda credential: credential.credential != "tls") if one.is_over]
    # An expired login that another one makes up for at every pull stops nothing: PS07 tells of it.
    harmless = spared(context) if any(one.secret.is_pull_secret for one in over) else frozenset()
    for ending in over:
        if (ending.secret.name, ending.credential.credential) not in harmless:
            yield problem(ending, what="credential", now=context.now)
