"""Certificates in PEM under any key of an Opaque Secret, and those that Cluster API keeps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, column, credential_kind
from scanner.credentials.tls import COLUMN
from scanner.form import MAX_KEYS
from scanner.pem import MAX_AUTHORITIES, BadCertificates, first_to_end, last_to_end, read_pem, starts_at

CLUSTER_API: Final = "cluster.x-k8s.io/secret"
#: Files of one Secret that are read.
_MAX_FILES: Final = 20
#: PEM, a comment, and what `openssl pkcs12` and `openssl x509 -text` put first.
_STARTS: Final = (b"-----BEGIN", b"#", b"Bag Attributes", b"Certificate:", b"subject=")
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


@credential_kind("certificate", "Certificate", secret_types=["Opaque", CLUSTER_API], forms=["pem"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each file: a chain ends with the first of its certificates, a bundle of authorities with the
    last. What OpenSSL writes before a certificate is passed over, and so are files with keys only."""
    items = islice((secret.data or {}).items(), MAX_KEYS)
    files = [(key, value) for key, value in items if value.lstrip().startswith(_STARTS) and _CERTIFICATE in value]
    broken = ""
    for key, value in files[:_MAX_FILES]:
        try:
            chain = read_pem(value, at_most=MAX_AUTHORITIES)
        except BadCertificates as error:
            broken = broken or f"{column(key, '')[:-1]} {error}"
            continue
        ends = last_to_end(chain) if chain[0].is_authority else first_to_end(chain)
        yield ParsedCredential(
            kind="certificate",
            credential=COLUMN,
            part=key,
            expires_at=ends.expires_at,
            expiry_source="x509",
            issued_at=ends.not_before,
            starts_at=None if chain[0].is_authority else starts_at(chain),
            fingerprint=fingerprint(value),
        )
    if broken:
        raise Unparsable(broken, credential=COLUMN)
