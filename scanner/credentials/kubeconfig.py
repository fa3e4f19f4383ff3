"""Kubeconfigs in Opaque Secrets, and in those of Cluster API: the end of what the user of the current context shows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from scanner import raw
from scanner.credential import Fingerprint, ParsedCredential, Unparsable, column, credential_kind
from scanner.expiry import read_token
from scanner.form import MAX_KEYS
from scanner.memory import Memory
from scanner.password import identify
from scanner.pem import MAX_AUTHORITIES, BadCertificates, first_to_end, last_to_end, read_pem, starts_at
from scanner.small_yaml import TooMuch, read_yaml

FAMILY: Final = "kubeconfig"
_CLUSTER_API: Final = "cluster.x-k8s.io/secret"
_MAX_FILES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Something in a kubeconfig that may end. Holds no value, so it may be remembered."""

    where: str
    expires_at: datetime | None = None
    issued_at: datetime | None = None
    starts_at: datetime | None = None
    never_expires: bool = False
    flaw: str = ""
    identity: str = ""
    intended_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    server: str
    parts: tuple[_Part, ...]


_readings: Final[Memory[_Reading]] = Memory()


@credential_kind("kubeconfig", "Kubeconfig", secret_types=["Opaque", _CLUSTER_API], forms=["kubeconfig"])
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each of the user's certificate and token and the cluster's authority, all of the current
    context; one without an end where the user signs in some other way (a password, a plugin)."""
    items = islice((secret.data or {}).items(), MAX_KEYS)
    files = [(key, value) for key, value in items if b"clusters" in value and b"users" in value]
    broken = ""
    for key, value in files[:_MAX_FILES]:
        try:
            reading = _readings(lambda value=value: _read(value), value)  # type: ignore[misc]
        except TooMuch as error:
            broken = broken or f"{column(key, '')[:-1]} {error}"
            continue
        for part in reading.parts:
            yield ParsedCredential(
                kind="kubeconfig",
                credential=column(FAMILY, reading.server),
                part=f"{key}: {part.where}" if part.where else key,
                expires_at=part.expires_at,
                expiry_source="kubeconfig" if part.expires_at else "",
                issued_at=part.issued_at,
                starts_at=part.starts_at,
                never_expires=part.never_expires,
                fingerprint=fingerprint(value, part.where),
                flaw=part.flaw,
                identity=part.identity,
                intended_end=part.intended_end,
            )
    if broken:
        raise Unparsable(broken, credential=column("secret", secret.metadata.name))


def _read(value: bytes) -> _Reading:
    """Raises `TooMuch`. What is valid YAML and no kubeconfig has no parts."""
    document = read_yaml(value)
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config" or "users" not in document:
        return _Reading("", ())
    contexts = _named(document, "contexts", "context")
    current = document.get("current-context")
    name = current if isinstance(current, str) and current else next(iter(contexts)) if len(contexts) == 1 else ""
    context = contexts.get(name)
    if context is None:
        flaw = "its current-context is not among its contexts" if current else "it names no current-context"
        return _Reading("unknown", (_Part(where="", flaw=flaw),))
    cluster = _named(document, "clusters", "cluster").get(_text(context, "cluster"), {})
    user = _named(document, "users", "user").get(_text(context, "user"))
    if user is None:
        return _Reading(_host(cluster), (_Part(where="", flaw="the user of its current-context is not in it"),))
    parts = [part for part in (_certificate(user), _token(user)) if part is not None]
    parts = parts or [_Part(where="user")]
    authority = _authority(cluster)
    return _Reading(_host(cluster), (*parts, *([authority] if authority else [])))


def _certificate(user: Mapping[str, Any]) -> _Part | None:
    where = "client-certificate-data"
    if not (data := _text(user, where)):
        return None
    try:
        chain = read_pem(_decoded(data))
    except BadCertificates:
        return _Part(where=where, flaw=f"its {where} is no certificate")
    first = first_to_end(chain)
    return _Part(
        where=where,
        expires_at=first.expires_at,
        issued_at=first.not_before,
        starts_at=starts_at(chain),
        identity="client_certificate",
    )


def _token(user: Mapping[str, Any]) -> _Part | None:
    if not (value := _text(user, "token")):
        return None
    token = read_token(value.encode("utf-8", "replace"))
    if token is None:
        return _Part(where="token")
    return _Part(
        where="token",
        expires_at=token.expires_at,
        issued_at=token.issued_at,
        starts_at=token.starts_at,
        never_expires=token.expires_at is None and not token.flaw,
        flaw=token.flaw,
        identity=identify(value).kind,
        intended_end=token.intended_end,
    )


def _authority(cluster: Mapping[str, Any]) -> _Part | None:
    where = "certificate-authority-data"
    if not (data := _text(cluster, where)):
        return None
    try:
        last = last_to_end(read_pem(_decoded(data), at_most=MAX_AUTHORITIES))
    except BadCertificates:
        return _Part(where=where, flaw=f"its {where} is no certificate")
    return _Part(where=where, expires_at=last.expires_at, issued_at=last.not_before)


def _named(document: Mapping[str, Any], plural: str, singular: str) -> dict[str, dict[str, Any]]:
    """The entries of a list of `{name, <singular>}`; of several with one name the first counts, as for kubectl."""
    found: dict[str, dict[str, Any]] = {}
    entries = document.get(plural)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get(singular), dict):
            found.setdefault(_text(entry, "name"), entry[singular])
    return found


def _text(mapping: Mapping[str, Any], name: str) -> str:
    value = mapping.get(name)
    return value if isinstance(value, str) else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return b""


def _host(cluster: Mapping[str, Any]) -> str:
    """The host of the server's URL, which may carry user name and password before it."""
    rest = _text(cluster, "server").partition("://")[2]
    return rest.partition("/")[0].rpartition("@")[2] or "unknown"
