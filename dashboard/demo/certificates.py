"""Self-signed certificates for the demo: real ones, the same at every start apart from their dates."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["tls_data"]


def tls_data(name: str, *, not_after: datetime, days: int = 90) -> dict[str, bytes]:
    """`tls.crt` and `tls.key` in PEM for a DNS name. The key comes from the name alone, so it protects nothing."""
    number = int.from_bytes(hashlib.sha256(f"credboard demo {name}".encode()).digest()) % (2**255) + 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    not_after = not_after.replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(number % (2**120) + 1)
        .not_valid_before(not_after - timedelta(days=days))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"tls.crt": certificate.public_bytes(encoding), "tls.key": private}
