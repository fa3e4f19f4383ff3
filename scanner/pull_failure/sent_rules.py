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
# Docker and containers/image name the account in the address of the token, and only where they have one.
_ACCOUNT = re.compile(r"[?&]account=[^&\s\"]", re.IGNORECASE)
_NOT_SENT = re.compile(
    "|".join(
        (
            r"failed to fetch anonymous token",
            r"no basic auth credentials",
            r"unauthenticated pull rate limit",
            r"missing username or secret",
        )
    )
)


def credential_was_sent(prepared: str, text: str) -> bool | None:
    """Return True or False where the ``prepared`` form of ``text`` or an address in it proves it, else None."""
    if _SENT.search(prepared) or _ACCOUNT.search(text):
        return True
    return False if _NOT_SENT.search(prepared) else None
