"""Java keystores (JKS and JCEKS): their certificates, which are not encrypted. Private keys are passed over unopened.

The format is that of `sun.security.provider.JavaKeyStore`: a magic number, a version, a count and so many entries, all
numbers big-endian; at the end a digest that only the password could verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanner.pem import MAX_AUTHORITIES, MAX_BYTES, MAX_CERTIFICATES, BadCertificates, Certificate, read_der

MAGIC: Final = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_PRIVATE_KEY: Final = 1
_TRUSTED: Final = 2
_VERSIONS: Final = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """`own` are the chains that belong to private keys, one after the other; `trusted` the authorities."""

    own: tuple[Certificate, ...] = ()
    trusted: tuple[Certificate, ...] = ()


class _Bytes:
    def __init__(self, value: bytes) -> None:
        self._value = memoryview(value)
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._value):
            raise BadCertificates("is a Java keystore that is cut off")
        part = bytes(self._value[self._at : end])
        self._at = end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def skip(self, size: int) -> None:
        """Pass over what is preceded by its length in `size` bytes."""
        self.take(self.number(size))


def read_jks(value: bytes) -> Keystore:
    """Raises `BadCertificates`. A JCEKS is read up to its first secret key, which is a serialised Java object."""
    if len(value) > MAX_BYTES:
        raise BadCertificates("is larger than a Secret can be")
    source = _Bytes(value)
    magic, version, count = source.take(4), source.number(4), source.number(4)
    if magic not in MAGIC or version not in _VERSIONS:
        raise BadCertificates("is no Java keystore of a known version")
    if count > MAX_AUTHORITIES:
        raise BadCertificates(f"is a Java keystore of {count} entries, more than are read")
    own: list[Certificate] = []
    trusted: list[Certificate] = []
    for _ in range(count):
        tag = source.number(4)
        if tag not in (_PRIVATE_KEY, _TRUSTED):
            break
        source.skip(2)  # alias
        source.take(8)  # when it was put in
        if tag == _TRUSTED:
            trusted.append(_certificate(source, version))
            continue
        source.skip(4)  # the encrypted key
        length = source.number(4)
        if len(own) + length > MAX_CERTIFICATES:
            raise BadCertificates("is a Java keystore with longer chains than any key has")
        own += [_certificate(source, version) for _ in range(length)]
    return Keystore(own=tuple(own), trusted=tuple(trusted))


def _certificate(source: _Bytes, version: int) -> Certificate:
    if version > 1:
        source.skip(2)  # the type, X.509
    certificate = read_der(source.take(source.number(4)))
    if certificate is None:
        raise BadCertificates("is a Java keystore with a certificate that cannot be read")
    return certificate
