"""Certificates and private keys in PEM or DER: when they end, who signed them, which key belongs to which.

Certificates are public; of a private key only the hash of its public half leaves this module.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from scanner.memory import Memory

#: No server sends chains of more; a file with more is a bundle of authorities or an attack on the reader.
MAX_CERTIFICATES: Final = 100
#: Bundles of all the public authorities have less than half of this.
MAX_AUTHORITIES: Final = 500
#: The API server keeps no larger Secret.
MAX_BYTES: Final = 1024 * 1024
_MAX_KEY_BYTES: Final = 64 * 1024
_MAX_CERTIFICATE_BYTES: Final = 128 * 1024
#: A new certificate costs 0.2 ms, a remembered one a hundredth of that; so many fit a large cluster, and into 8 MB.
_REMEMBERED: Final = 8192
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"

#: Policies under which the public authorities issue (CA/Browser Forum): their roots sign no server certificate.
_PUBLIC_POLICIES: Final = frozenset({"2.23.140.1.1", "2.23.140.1.2.1", "2.23.140.1.2.2", "2.23.140.1.2.3"})
_BAD_CERTIFICATE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InternalError, x509.InvalidVersion)


class BadCertificates(ValueError):
    """What is not a list of certificates; the text says why, in words that follow the name of the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """`subject` and `issuer` are DER, to be compared; `public_key` is the SHA-256 of the SubjectPublicKeyInfo.

    `is_public` is true of one that a public authority must have issued through an intermediate.
    """

    expires_at: datetime
    not_before: datetime
    subject: bytes
    issuer: bytes
    public_key: bytes
    is_authority: bool
    is_public: bool

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer


def read_pem(value: bytes, *, at_most: int = MAX_CERTIFICATES) -> tuple[Certificate, ...]:
    """The certificates of a PEM file in their order, at least one. Raises `BadCertificates`."""
    if not value.strip():
        raise BadCertificates("is empty")
    if len(value) > MAX_BYTES:
        raise BadCertificates("is larger than a Secret can be")
    blocks = value.count(_BEGIN)
    if blocks == 0:
        raise BadCertificates("holds no PEM certificate")
    if blocks > at_most:
        raise BadCertificates(f"holds {blocks} certificates, more than any chain has")
    found: list[Certificate] = []
    before, *rest = value.split(_BEGIN)
    for number, block in enumerate(rest, start=1):
        body, end, after = block.partition(_END)
        certificate = _read_body(body) if end else None
        if certificate is None:
            raise BadCertificates(f"cannot be read: certificate {number} of {blocks} in it is broken")
        # Go and OpenSSL find the two lines at the beginning of a line only. Files that were joined without a line break
        # between them lack that.
        if ((before or number > 1) and before[-1:] != b"\n") or body[-1:] != b"\n" or after.partition(b"\n")[0].strip():
            raise BadCertificates(
                f"cannot be read: certificate {number} of {blocks} in it does not begin and end on lines of its own"
            )
        before = after
        found.append(certificate)
    return tuple(found)


# The same chain lies in many namespaces: a wildcard certificate, an authority. By hash, as what stands between the two
# lines need not be a certificate.
_certificates: Final[Memory[Certificate | None]] = Memory(_REMEMBERED)


def _read_body(body: bytes) -> Certificate | None:
    return None if len(body) > _MAX_CERTIFICATE_BYTES else _certificates(lambda: _load(_BEGIN + body + _END), body)


def read_der(der: bytes) -> Certificate | None:
    """One certificate; None when it is none."""
    return None if len(der) > _MAX_CERTIFICATE_BYTES else _certificates(lambda: _load(der), der)


def _load(value: bytes) -> Certificate | None:
    load = x509.load_pem_x509_certificate if value.startswith(_BEGIN) else x509.load_der_x509_certificate
    with warnings.catch_warnings():
        # Of odd serial numbers and the like: what matters here can be read all the same.
        warnings.simplefilter("ignore")
        try:
            return _facts(load(value))
        except _BAD_CERTIFICATE:
            return None


def _facts(certificate: x509.Certificate) -> Certificate:
    is_authority, is_public = _extensions(certificate)
    return Certificate(
        expires_at=certificate.not_valid_after_utc,
        not_before=certificate.not_valid_before_utc,
        subject=certificate.subject.public_bytes(),
        issuer=certificate.issuer.public_bytes(),
        public_key=_public_key(certificate),
        is_authority=is_authority,
        is_public=is_public,
    )


def _public_key(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _BAD_CERTIFICATE:
        return b""
    return hashlib.sha256(key).digest()


def _extensions(certificate: x509.Certificate) -> tuple[bool, bool]:
    try:
        extensions = certificate.extensions
    except _BAD_CERTIFICATE:
        return False, False
    is_authority = is_public = False
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            is_authority = value.ca
        elif isinstance(value, x509.PrecertificateSignedCertificateTimestamps):
            is_public = True
        elif isinstance(value, x509.CertificatePolicies):
            is_public = is_public or any(one.policy_identifier.dotted_string in _PUBLIC_POLICIES for one in value)
    return is_authority, is_public


def starts_at(chain: Sequence[Certificate]) -> datetime:
    """When all of a chain are valid at last: until then clients refuse it."""
    return max(one.not_before for one in chain)


def first_to_end(chain: Sequence[Certificate]) -> Certificate:
    """Of a chain: from then on clients refuse it."""
    return min(chain, key=lambda one: one.expires_at)


def last_to_end(authorities: Sequence[Certificate]) -> Certificate:
    """Of a bundle of trusted authorities: until then it is of use. An old one beside a new one is a rotation."""
    return max(authorities, key=lambda one: one.expires_at)


_keys: Final[Memory[bytes | None]] = Memory(_REMEMBERED)


def public_half(pem: bytes) -> bytes | None:
    """SHA-256 of the SubjectPublicKeyInfo of a private key; None when it cannot be read (or needs a pass phrase)."""
    return None if len(pem) > _MAX_KEY_BYTES else _keys(lambda: _read_key(pem), pem)


def _read_key(pem: bytes) -> bytes | None:
    try:
        # Its primes are not tested, which takes long for what a stranger may choose: nothing is signed with it.
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        return None
    return hashlib.sha256(public).digest()


def lacks_intermediate(chain: Sequence[Certificate], authorities: Sequence[Certificate] = ()) -> bool:
    """Whether it is certain that an intermediate certificate is missing from a server's `chain`.

    It is when the server's certificate is from a public authority, whose roots sign no server certificate, or when
    `authorities` (`ca.crt`) holds its issuer and that is itself issued by another. A private root may sign directly.
    """
    leaf = chain[0]
    if leaf.is_self_issued or leaf.is_authority or any(one.subject == leaf.issuer for one in chain[1:]):
        return False
    issuers = [one for one in authorities if one.subject == leaf.issuer]
    return leaf.is_public or (bool(issuers) and not any(one.is_self_issued for one in issuers))
