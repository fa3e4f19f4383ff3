"""How long the ServiceAccount tokens live that the kubelet projects into Pods.

The rules are those of Kubernetes: validation of `serviceAccountToken` sources (`pkg/apis/core/validation`), the API
server's TokenRequest (`pkg/registry/core/serviceaccount/storage/token.go`) and the kubelet's renewal
(`pkg/kubelet/token/token_manager.go`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

DEFAULT_SECONDS: Final = 3600
LEAST_SECONDS: Final = 600
MOST_SECONDS: Final = 1 << 32
#: What the admission of ServiceAccounts asks for in `kube-api-access` volumes; it marks tokens that may be extended.
EXTENDED_SECONDS: Final = 3607
_EXTENDED: Final = timedelta(days=365)
_LONGEST_KEPT: Final = timedelta(hours=24)


class InvalidLifetime(ValueError):
    """The API server refuses such a volume; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVolume:
    """`lifetime` is what was asked for, `rotates_after` when the kubelet puts a new token in the file, `accepted_for`
    how long the API server takes one. Only a process that read the file once ever meets an old token."""

    lifetime: timedelta
    rotates_after: timedelta
    accepted_for: timedelta


def token_volume(expiration_seconds: int | None, *, audience: str = "") -> TokenVolume:
    """What `expirationSeconds` and `audience` ("" for the API server's own) come to. Raises `InvalidLifetime`."""
    seconds = DEFAULT_SECONDS if expiration_seconds is None else expiration_seconds
    if seconds < LEAST_SECONDS:
        raise InvalidLifetime(f"expirationSeconds must be at least {LEAST_SECONDS} (10 minutes)")
    if seconds > MOST_SECONDS:
        raise InvalidLifetime("expirationSeconds must be at most 2^32")
    lifetime = timedelta(seconds=seconds)
    is_extended = seconds == EXTENDED_SECONDS and not audience
    return TokenVolume(
        lifetime=lifetime,
        rotates_after=min(lifetime * 4 / 5, _LONGEST_KEPT),
        accepted_for=_EXTENDED if is_extended else lifetime,
    )
