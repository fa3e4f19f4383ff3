"""Keys of Google service accounts, as the JSON file that Google hands out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, credential_kind
from scanner.form import MAX_KEYS
from scanner.words import shown

COLUMN: Final = "storage/gcs"
_MAX_BYTES: Final = 64 * 1024


class _Key(msgspec.Struct, gc=False):
    type: str
    private_key_id: str = ""
    client_email: str = ""


_key: Final = msgspec.json.Decoder(_Key)


@credential_kind("gcp-service-account-key", "Google service account key", secret_types=["Opaque"], forms=["json"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each file. It holds no date: an end is known to Google alone, and most keys have none."""
    for name, value in islice((secret.data or {}).items(), MAX_KEYS):
        if len(value) > _MAX_BYTES or b'"service_account"' not in value:
            continue
        try:
            key = _key.decode(value)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            continue
        if key.type == "service_account":
            yield ParsedCredential(
                kind="gcp-service-account-key",
                credential=COLUMN,
                part=name,
                username=shown(key.client_email),
                fingerprint=fingerprint(value),
                identity="gcp_sa_key",
            )
