"""AWS access keys in Opaque Secrets. Temporary ones do not work without the session token they were issued with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, credential_kind
from scanner.expiry import unix_time
from scanner.form import MAX_KEYS

COLUMN: Final = "storage/s3"
_ACCESS_KEY: Final = re.compile(rb"A(?P<kind>KIA|SIA)[A-Z0-9]{12,124}")
_MAX_FILE_BYTES: Final = 64 * 1024
#: Profiles of one credentials file that are read.
MAX_PROFILES: Final = 20
_PROFILE: Final = re.compile(rb"^[ \t]*\[[^\]\n]{1,200}\]", re.MULTILINE)
_SETTING: Final = re.compile(rb"^([A-Za-z_]{1,64})[ \t]*=[ \t]*(\S{1,4096})[ \t\r]*$", re.MULTILINE)
_FILE_FIELD: Final = b"aws_access_key_id"
_FILE_TOKENS: Final = (b"aws_session_token", b"aws_security_token")
_TOKEN_WORDS: Final = ("sessiontoken", "securitytoken")
_INCOMPLETE: Final = "it is a temporary AWS key, and the session token without which it does not work is not beside it"


@credential_kind("aws", "AWS access key", secret_types=["Opaque"], forms=["aws"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each access key id. The session token is opaque, so an end is known of those only beside which
    External Secrets' STS generator wrote one."""
    data = secret.data or {}
    for key, value in islice(data.items(), MAX_KEYS):
        if len(value) <= _MAX_FILE_BYTES and _FILE_FIELD in value:
            yield from _profiles(key, value, fingerprint)
            continue
        if len(value) > 200 or not (found := _ACCESS_KEY.fullmatch(value.strip())):
            continue
        is_temporary = found["kind"] == b"SIA"
        lacks_token = is_temporary and not _has_session_token(data)
        expires_at = _expiration(data) if is_temporary else None
        yield ParsedCredential(
            kind="aws",
            credential=COLUMN,
            part=key,
            expires_at=expires_at,
            expiry_source="external-secrets" if expires_at else "",
            fingerprint=fingerprint(value.strip()),
            flaw=_INCOMPLETE if lacks_token else "",
            identity="aws_temporary" if is_temporary else "aws_long_lived",
            fault="no-session-token" if lacks_token else "",
        )


def _profiles(key: str, value: bytes, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each profile of a credentials file, as the AWS SDKs and Velero read it. Its other settings are
    passed over."""
    for profile in islice(_PROFILE.split(value)[1:], MAX_PROFILES):
        settings = {name.lower(): text for name, text in _SETTING.findall(profile)}
        access_key = settings.get(_FILE_FIELD, b"")
        if not (found := _ACCESS_KEY.fullmatch(access_key)):
            continue
        is_temporary = found["kind"] == b"SIA"
        lacks_token = is_temporary and not any(settings.get(name) for name in _FILE_TOKENS)
        yield ParsedCredential(
            kind="aws",
            credential=COLUMN,
            part=key,
            fingerprint=fingerprint(access_key),
            flaw=_INCOMPLETE if lacks_token else "",
            identity="aws_temporary" if is_temporary else "aws_long_lived",
            fault="no-session-token" if lacks_token else "",
        )


def _has_session_token(data: Mapping[str, bytes]) -> bool:
    names = ((re.sub(r"[^a-z]", "", key.lower()), value) for key, value in islice(data.items(), MAX_KEYS))
    return any(word in name for name, value in names if value.strip() for word in _TOKEN_WORDS)


def _expiration(data: Mapping[str, bytes]) -> datetime | None:
    return unix_time(data.get("expiration", b""))
