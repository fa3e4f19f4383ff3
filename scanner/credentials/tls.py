"""TLS Secrets: the certificate chain in `tls.crt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509

from scanner import raw
from scanner.credential import Field, Fingerprint, ParsedCredential, Unparsable, credential_kind
from scanner.expiry import limit_expiry

COLUMN: Final = "tls"
TYPE: Final = "kubernetes.io/tls"
#: No server sends chains of more; a file with more is a bundle of authorities or an attack on the reader.
MAX_CERTIFICATES: Final = 100
#: The API server keeps no larger Secret.
MAX_BYTES: Final = 1024 * 1024
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"

FIELDS: Final = (
    Field(
        name="certificate", label="Certificate chain", help="PEM, the server's own certificate first.", multiline=True
    ),
    Field(name="key", label="Private key", help="PEM, without a pass phrase.", secret=True, multiline=True),
)


def build(values: Mapping[str, str]) -> dict[str, bytes]:
    """The data that `kubectl create secret tls` writes. Raises `Unparsable` unless it holds a chain and a key."""
    certificate, key = values.get("certificate", ""), values.get("key", "")
    if "PRIVATE KEY-----" not in key:
        raise Unparsable("Paste the private key as PEM; it begins with a line such as -----BEGIN PRIVATE KEY-----.")
    if "ENCRYPTED" in key:
        raise Unparsable("The private key has a pass phrase; store it without one, nobody can type it in a cluster.")
    try:
        chain, private = certificate.encode(), key.encode()
    except UnicodeEncodeError:
        raise Unparsable("The text holds characters that are not valid Unicode.") from None
    _read_chain(chain)
    return {"tls.crt": chain, "tls.key": private}


@credential_kind("tls", "TLS certificate", secret_types=[TYPE], fields=FIELDS, creates=TYPE, build=build)
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential, ending with the first certificate of the chain that ends: from then on clients refuse it."""
    chain = (secret.data or {}).get("tls.crt", b"")
    expires_at, issued_at = _read_chain(chain)
    credential = ParsedCredential(
        kind="tls",
        credential=COLUMN,
        part="tls.crt",
        expires_at=expires_at,
        expiry_source="x509",
        issued_at=issued_at,
        fingerprint=fingerprint(chain),
    )
    yield limit_expiry(credential, secret.metadata.annotations)


def _read_chain(chain: bytes) -> tuple[datetime, datetime]:
    """(earliest notAfter, that certificate's notBefore), both UTC. Raises `Unparsable`."""
    if not chain.strip():
        raise Unparsable("tls.crt is empty", credential=COLUMN)
    if len(chain) > MAX_BYTES:
        raise Unparsable("tls.crt is larger than a Secret can be", credential=COLUMN)
    blocks = chain.count(_BEGIN)
    if blocks == 0:
        raise Unparsable("tls.crt holds no PEM certificate", credential=COLUMN)
    if blocks > MAX_CERTIFICATES:
        raise Unparsable(f"tls.crt holds {blocks} certificates, more than any chain has", credential=COLUMN)
    ends = [_validity(block[: block.index(_END)]) if _END in block else None for block in chain.split(_BEGIN)[1:]]
    if None in ends:
        bad = ends.index(None) + 1
        raise Unparsable(f"certificate {bad} of {blocks} in tls.crt cannot be read", credential=COLUMN)
    return min(end for end in ends if end is not None)


# Certificates are public, and the same chain lies in many namespaces: a wildcard certificate, an authority.
@lru_cache(maxsize=2048)
def _validity(body: bytes) -> tuple[datetime, datetime] | None:
    """(notAfter, notBefore) of one PEM body; None when it is no certificate."""
    try:
        certificate = x509.load_pem_x509_certificate(_BEGIN + body + _END)
        return certificate.not_valid_after_utc, certificate.not_valid_before_utc
    except ValueError:
        return None
