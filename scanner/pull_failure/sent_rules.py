"""Whether a credential was sent, told by words that prove it whatever went wrong afterwards.

Sources: containerd ``core/remotes/docker/authorizer.go`` (it says "oauth" of a request that carries a credential and
"anonymous" of one that carries none, before it says how that request failed); Docker Hub's and Google's limits for
those who did not sign in.
"""

from __future__ import annotations

import re

_SENT = re.compile(
    "|".join(
        (
            r"failed to fetch oauth token",
            r"post \"?<token-url>",
            r"pull rate limit as ",
        )
    )
)
_NOT_SENT = re.compile(
    "|".join(
        (
            r"failed to fetch anonymous token",
            r"no basic auth credentials",
            r"unauthenticated pull rate limit",
            r"missing username or secret",
            r"no credentials on this request",
        )
    )
)


def credential_was_sent(text: str) -> bool | None:
    """Return True or False where the prepared ``text`` proves it, None where it does not."""
    if _SENT.search(text):
        return True
    return False if _NOT_SENT.search(text) else None
