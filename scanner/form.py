"""What the values of a Secret look like from their first bytes, so that readers are shown only what may be theirs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final, Literal

Form = Literal["token", "pem", "keystore", "kubeconfig", "aws", "json", "expiry"]

#: Values of one Secret that are looked at. Nobody keeps more credentials in one.
MAX_KEYS: Final = 200
_LONGEST_INDENT: Final = 256

_BY_START: Final[Mapping[bytes, frozenset[Form]]] = {
    # base64url of a JSON object: `{"`, and `{` with white space
    b"ey": frozenset({"token"}),
    b"ew": frozenset({"token"}),
    b"--": frozenset({"pem", "kubeconfig"}),
    # what OpenSSL writes before a certificate: "Bag Attributes", "Certificate:", "subject="
    b"Ba": frozenset({"pem"}),
    b"Ce": frozenset({"pem"}),
    b"su": frozenset({"pem"}),
    b"\xfe\xed": frozenset({"keystore"}),
    b"\xce\xce": frozenset({"keystore"}),
    # a DER sequence with a length of one, two or three bytes
    b"0\x81": frozenset({"keystore"}),
    b"0\x82": frozenset({"keystore"}),
    b"0\x83": frozenset({"keystore"}),
    b"AK": frozenset({"aws"}),
    b"AS": frozenset({"aws"}),
    # the first field of a kubeconfig, in any order
    b"ap": frozenset({"kubeconfig"}),
    b"ki": frozenset({"kubeconfig"}),
    b"cl": frozenset({"kubeconfig"}),
    b"co": frozenset({"kubeconfig"}),
    b"cu": frozenset({"kubeconfig"}),
    b"us": frozenset({"kubeconfig"}),
    b"pr": frozenset({"kubeconfig"}),
}
_BY_FIRST: Final[Mapping[int, frozenset[Form]]] = {
    ord("{"): frozenset({"json", "kubeconfig"}),
    ord("#"): frozenset({"kubeconfig", "pem", "aws"}),
    ord("["): frozenset({"aws"}),  # a profile of a credentials file
    ord('"'): frozenset({"kubeconfig"}),
}
#: Keys beside which External Secrets' generators write when the credential ends.
EXPIRY_KEYS: Final = ("expires_at", "expiry", "expiration")
_NONE: Final[frozenset[Form]] = frozenset()
_SPACE: Final = frozenset(b" \t\r\n\v\f")


def forms_of(data: Mapping[str, bytes] | None) -> frozenset[Form]:
    """What the first values of a Secret may be. Quick and rough: a form that is not in it is surely not there."""
    if not data:
        return _NONE
    found = _NONE
    by_start, by_first = _BY_START, _BY_FIRST
    for value in data.values() if len(data) <= MAX_KEYS else islice(data.values(), MAX_KEYS):
        start = value[:2]
        if start in by_start:
            found |= by_start[start]
        elif start:
            first = start[0]
            if first in by_first:
                found |= by_first[first]
            elif first in _SPACE:
                stripped = value[:_LONGEST_INDENT].lstrip()
                found |= by_start.get(stripped[:2], _NONE) or by_first.get(stripped[0] if stripped else 0, _NONE)
    if not data.keys().isdisjoint(EXPIRY_KEYS):
        found |= {"expiry"}
    return found
