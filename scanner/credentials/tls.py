"""TLS Secrets: the certificate chain in `tls.crt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from scanner import raw
from scanner.credential import Fault, Field, Fingerprint, ParsedCredential, Unparsable, credential_kind
from scanner.expiry import limit_expiry
from scanner.pem import (
    MAX_AUTHORITIES,
    MAX_CERTIFICATES,
    BadCertificates,
    Certificate,
    first_to_end,
    lacks_intermediate,
    last_to_end,
    public_half,
    read_pem,
    starts_at,
)

COLUMN: Final = "tls"
TYPE: Final = "kubernetes.io/tls"

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
    _read("tls.crt", chain, at_most=MAX_CERTIFICATES)
    return {"tls.crt": chain, "tls.key": private}


@credential_kind("tls", "TLS certificate", secret_types=[TYPE], fields=FIELDS, creates=TYPE, build=build)
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """The chain in `tls.crt`, ending with the first certificate of it that ends: from then on clients refuse it; and
    the authorities in `ca.crt`, ending with the last of them."""
    data = secret.data or {}
    chain = _read("tls.crt", data.get("tls.crt", b""), at_most=MAX_CERTIFICATES)
    authorities: tuple[Certificate, ...] = ()
    broken: Unparsable | None = None
    if data.get("ca.crt", b"").strip():
        try:
            authorities = _read("ca.crt", data["ca.crt"], at_most=MAX_AUTHORITIES)
        except Unparsable as error:
            broken = error
    fault, flaw = _compare(chain, data.get("tls.key", b""), authorities)
    first = first_to_end(chain)
    credential = ParsedCredential(
        kind="tls",
        credential=COLUMN,
        part="tls.crt",
        expires_at=first.expires_at,
        expiry_source="x509",
        issued_at=first.not_before,
        starts_at=starts_at(chain),
        fingerprint=fingerprint(data["tls.crt"]),
        fault=fault,
        flaw=flaw,
    )
    yield limit_expiry(credential, secret.metadata.annotations)
    if authorities:
        last = last_to_end(authorities)
        yield ParsedCredential(
            kind="tls",
            credential=COLUMN,
            part="ca.crt",
            expires_at=last.expires_at,
            expiry_source="x509",
            issued_at=last.not_before,
            fingerprint=fingerprint(data["ca.crt"]),
        )
    if broken is not None:
        raise broken


def _read(name: str, value: bytes, *, at_most: int) -> tuple[Certificate, ...]:
    """Raises `Unparsable`."""
    try:
        return read_pem(value, at_most=at_most)
    except BadCertificates as error:
        words = f"{name} {error}"
    raise Unparsable(words, credential=COLUMN)


def _compare(chain: tuple[Certificate, ...], key: bytes, authorities: tuple[Certificate, ...]) -> tuple[Fault, str]:
    """What is wrong with key and chain, as servers see it: the first certificate is the one that they present
    (`crypto/tls.X509KeyPair` of Go, `ssl_certificate` of nginx). An empty key is nobody's mistake to tell."""
    if key.strip():
        public = public_half(key)
        if public is None:
            return "", "tls.key cannot be read as a private key without a pass phrase"
        if chain[0].public_key and public != chain[0].public_key:
            return "key-mismatch", ""
    return ("incomplete-chain" if lacks_intermediate(chain, authorities) else ""), ""
