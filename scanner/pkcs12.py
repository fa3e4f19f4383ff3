"""PKCS#12 keystores: their certificates, when a password opens them. Private keys are never decrypted.

A file says itself how often its password is to be hashed, which is up to two thousand million times, so it is taken
apart before OpenSSL sees it (RFC 7292): only what holds certificates is opened, only with key derivations that are
counted beforehand, and its own integrity check (another derivation) is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from scanner.jks import Keystore
from scanner.pem import MAX_AUTHORITIES, MAX_BYTES, BadCertificates, read_der

#: Rounds of hashing spent on one file, all parts and passwords together: a quarter of a second. Java uses 10,000 for a
#: file, OpenSSL 2,048.
MAX_ROUNDS: Final = 400_000
MAX_PASSWORDS: Final = 6
_MAX_PARTS: Final = 8

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_CONTEXT_0: Final = 0xA0
_OID_DATA: Final = bytes.fromhex("2a864886f70d010701")
_OID_ENCRYPTED: Final = bytes.fromhex("2a864886f70d010706")
_OID_PBES2: Final = bytes.fromhex("2a864886f70d01050d")
_OID_PBKDF2: Final = bytes.fromhex("2a864886f70d01050c")
_OID_PKCS12_PBE: Final = bytes.fromhex("2a864886f70d010c01")
_OID_BAG: Final = bytes.fromhex("2a864886f70d010c0a01")
_KEY_BAGS: Final = (_OID_BAG + b"\x01", _OID_BAG + b"\x02")


class _NotDer(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    content: bytes
    whole: bytes


def read_pkcs12(value: bytes, passwords: Iterable[str]) -> Keystore | None:
    """The certificates; None when no password opens it, or trying would take too long. Raises `BadCertificates`."""
    if len(value) > MAX_BYTES:
        raise BadCertificates("is larger than a Secret can be")
    try:
        parts = _contents(value)
        rounds = sum(_rounds(part) for part in parts)
        has_key = any(_has_key(part) for part in parts)
    except (ValueError, IndexError):
        raise BadCertificates("is no PKCS#12 keystore that can be read") from None
    if not parts or len(parts) > _MAX_PARTS:
        raise BadCertificates("is a PKCS#12 keystore without contents, or with more than any has")
    spent = 0
    reduced = _without_keys(parts)
    for _, password in zip(range(MAX_PASSWORDS), passwords, strict=False):
        spent += rounds
        if spent > MAX_ROUNDS:
            return None
        if (found := _open(reduced, password, has_key=has_key)) is not None:
            return found
    return None


def _open(value: bytes, password: str, *, has_key: bool) -> Keystore | None:
    if "\0" in password:
        return None  # OpenSSL takes a C string, and `cryptography` panics, which is no Exception
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            store = pkcs12.load_pkcs12(value, password.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
            return None
        found = [store.cert, *store.additional_certs]
        if len(found) > MAX_AUTHORITIES:
            raise BadCertificates("is a PKCS#12 keystore of more certificates than are read")
        read = [read_der(one.certificate.public_bytes(Encoding.DER)) for one in found if one is not None]
    certificates = tuple(one for one in read if one is not None)
    return Keystore(own=certificates) if has_key else Keystore(trusted=certificates)


def _without_keys(parts: list[_Element]) -> bytes:
    """The same keystore without integrity check, and with a key of ours first: OpenSSL decrypts the first key only
    (`parse_bag` in crypto/pkcs12/p12_kiss.c), so with a plain one there it decrypts none."""
    bag = _der(_SEQUENCE, _der(_OID, _KEY_BAGS[0]), _der(_CONTEXT_0, _any_key()))
    ours = _der(_SEQUENCE, _der(_OID, _OID_DATA), _der(_CONTEXT_0, _der(_OCTETS, _der(_SEQUENCE, bag))))
    safe = _der(_SEQUENCE, ours, *(part.whole for part in parts))
    content = _der(_SEQUENCE, _der(_OID, _OID_DATA), _der(_CONTEXT_0, _der(_OCTETS, safe)))
    return _der(_SEQUENCE, _der(_INTEGER, b"\x03"), content)


@cache
def _any_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _contents(value: bytes) -> list[_Element]:
    """The ContentInfos of the AuthenticatedSafe of a PFX in password mode."""
    version, content, *_ = _children(_only(value))
    if version.tag != _INTEGER:
        raise _NotDer
    return list(_children(_only(_data(content))))


def _data(content: _Element) -> bytes:
    """The octets inside a ContentInfo of type data."""
    kind, inner = _children(content)
    octets = _only(inner.content)
    if kind.content != _OID_DATA or inner.tag != _CONTEXT_0 or octets.tag != _OCTETS:
        raise _NotDer
    return octets.content


def _rounds(part: _Element) -> int:
    """How often a password is hashed to open a ContentInfo. Raises `_NotDer` for what is not counted here."""
    kind, *inner = _children(part)
    if kind.content == _OID_DATA:
        return 0
    if kind.content != _OID_ENCRYPTED or not inner:
        raise _NotDer
    _, encrypted, *_ = _children(_only(inner[0].content))
    _, algorithm, *_ = _children(encrypted)
    oid, parameters = _children(algorithm)
    if oid.content == _OID_PBES2:
        derivation, _ = _children(parameters)
        oid, parameters = _children(derivation)
        if oid.content != _OID_PBKDF2:
            raise _NotDer
    elif oid.content[:-1] != _OID_PKCS12_PBE:
        raise _NotDer
    salt, iterations, *_ = _children(parameters)
    if salt.tag != _OCTETS or iterations.tag != _INTEGER or len(iterations.content) > 8:
        raise _NotDer
    return max(int.from_bytes(iterations.content, "big"), 1)


def _has_key(part: _Element) -> bool:
    """Whether a ContentInfo that is not encrypted holds a private key, itself encrypted or not."""
    if _first(part).content != _OID_DATA:
        return False
    return any(_first(bag).content in _KEY_BAGS for bag in _children(_only(_data(part))))


def _first(element: _Element) -> _Element:
    return _only(element.content)


def _only(value: bytes) -> _Element:
    return _element(value, 0)[0]


def _children(element: _Element) -> Iterator[_Element]:
    at = 0
    while at < len(element.content):
        child, at = _element(element.content, at)
        yield child


def _element(value: bytes, at: int) -> tuple[_Element, int]:
    """The DER element at a place, and where the next one begins. Raises `_NotDer` or `IndexError`."""
    tag, length, start = value[at], value[at + 1], at + 2
    if length > 0x84 or length == 0x80:
        raise _NotDer
    if length > 0x80:
        start += length - 0x80
        length = int.from_bytes(value[at + 2 : start], "big")
    end = start + length
    if end > len(value):
        raise _NotDer
    return _Element(tag, value[start:end], value[at:end]), end


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(length)]) + length + content
