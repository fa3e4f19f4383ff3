"""A kubeconfig that was pasted into a form which could not be saved yet: it goes to the browser and back, encrypted.

It is never shown back, and nobody should have to look for it again because of a slip in another field. Nothing is kept
on our side, so a form that is given up leaves nothing behind.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from dashboard.encryption import CannotDecrypt, decrypt, encrypt
from scanner.pasted_kubeconfig import LARGEST

#: How long a form may lie open before the kubeconfig must be pasted again.
LASTS: Final = timedelta(hours=1)
#: Encryption adds a third to its JSON, in which each character takes two at the most in what is a kubeconfig.
_LONGEST: Final = 4 * LARGEST


@sensitive_variables()
def seal(text: str, *, user: Any, now: datetime | None = None) -> str:
    """`text` for a hidden field of a form of `user`."""
    at = (now or timezone.now()).isoformat()
    return encrypt(json.dumps({"draft": text, "by": user.get_username(), "at": at})).decode("ascii")


@sensitive_variables()
def unseal(sealed: str, *, user: Any, now: datetime | None = None) -> str:
    """What was sealed for `user`; "" for anything else, or when it is too old."""
    if not sealed or len(sealed) > _LONGEST or not sealed.isascii():
        return ""
    try:
        told = json.loads(decrypt(sealed.encode("ascii")))
        is_fresh = datetime.fromisoformat(told["at"]) > (now or timezone.now()) - LASTS
        return str(told["draft"]) if told["by"] == user.get_username() and is_fresh else ""
    except (CannotDecrypt, ValueError, TypeError, KeyError):
        return ""
