"""Java keystores and PKCS#12 files, in Opaque Secrets and beside `tls.crt` where cert-manager puts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, Literal

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, column, credential_kind
from scanner.credentials.tls import COLUMN, TYPE
from scanner.form import MAX_KEYS
from scanner.jks import MAGIC, Keystore, read_jks
from scanner.memory import Memory
from scanner.pem import BadCertificates, first_to_end, last_to_end, starts_at
from scanner.pkcs12 import MAX_PASSWORDS, read_pkcs12

#: Keystores of one Secret that are opened.
_MAX_FILES: Final = 8
_MAX_PASSWORD_BYTES: Final = 256
_PASSWORD_WORDS: Final = ("password", "passphrase", "passwd", "pwd", "storepass", "pass")
#: Tried after those in the Secret: Java's own, and none.
_USUAL: Final = ("changeit", "")

_stores: Final[Memory[Keystore | None]] = Memory()


@credential_kind("keystore", "Keystore", secret_types=["Opaque", TYPE], forms=["keystore"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each keystore: it ends with the first certificate of the chains that belong to its keys; one
    of authorities only with the last of them. A PKCS#12 file that no password here opens has no end that is known."""
    data = secret.data or {}
    broken = ""
    files = [(key, value, kind) for key, value in islice(data.items(), MAX_KEYS) if (kind := _kind(value))]
    for key, value, kind in files[:_MAX_FILES]:
        try:
            store = _open(key, value, kind, data)
        except BadCertificates as error:
            broken = broken or f"{column(key, '')[:-1]} {error}"
            continue
        own, trusted = (store.own, store.trusted) if store else ((), ())
        last = first_to_end(own) if own else last_to_end(trusted) if trusted else None
        yield ParsedCredential(
            kind="keystore",
            credential=COLUMN,
            part=key,
            expires_at=last.expires_at if last else None,
            expiry_source=kind if last else "",
            issued_at=last.not_before if last else None,
            starts_at=starts_at(own) if own else None,
            fingerprint=fingerprint(value),
        )
    if broken:
        raise Unparsable(broken, credential=COLUMN)


def _kind(value: bytes) -> Literal["jks", "pkcs12", ""]:
    if value[:4] in MAGIC:
        return "jks"
    # A PFX is a sequence that begins with the version 3 and another sequence (RFC 7292, 4); keys and certificates in
    # DER begin otherwise.
    return "pkcs12" if value[:1] == b"0" and b"\x02\x01\x03\x30" in value[2:10] else ""


def _open(key: str, value: bytes, kind: str, data: Mapping[str, bytes]) -> Keystore | None:
    if kind == "jks":
        return _stores(lambda: read_jks(value), value)
    passwords = _passwords(key, data)
    return _stores(lambda: read_pkcs12(value, passwords), value, *(one.encode() for one in passwords))


def _passwords(key: str, data: Mapping[str, bytes]) -> list[str]:
    """Those in the same Secret, whose key names the keystore's first; then the usual ones."""
    stem = key.lower().rpartition(".")[0] or key.lower()
    found: list[tuple[bool, str]] = []
    for name, value in islice(data.items(), MAX_KEYS):
        lower = name.lower()
        if len(value) <= _MAX_PASSWORD_BYTES and any(word in lower for word in _PASSWORD_WORDS):
            # Files that were made with an editor or echo end with a line break.
            found.append((not lower.startswith(stem), value.decode("utf-8", "replace").rstrip("\r\n")))
    found.sort(key=lambda one: one[0])
    return list(dict.fromkeys([password for _, password in found[: MAX_PASSWORDS - len(_USUAL)]] + list(_USUAL)))
