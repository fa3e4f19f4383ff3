"""Docker configs inside pull Secrets: the entries the kubelet reads out of one, or what is broken in it.

The rules are those of Kubernetes' ``pkg/credentialprovider/config.go`` and ``secrets/secrets.go``, which decode with
Go's ``encoding/json`` and ``encoding/base64``. Python's decoders differ from those in what they take, so this module
says where.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Never

from scanner.registry_key import InvalidKey, parse_key

DOCKER_CONFIG_JSON: Final = "kubernetes.io/dockerconfigjson"
DOCKER_CFG: Final = "kubernetes.io/dockercfg"
DATA_KEYS: Final[Mapping[str, str]] = {DOCKER_CONFIG_JSON: ".dockerconfigjson", DOCKER_CFG: ".dockercfg"}

_ENTRY_FIELDS: Final = ("username", "password", "email", "auth")
# What docker writes and the kubelet passes over; of use to somebody who wonders why an entry has no password.
_IGNORED_ENTRY_FIELDS: Final = ("identitytoken", "registrytoken")
_IGNORED_FILE_FIELDS: Final = {"credsstore": "credsStore", "credhelpers": "credHelpers"}

_PADDED: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UNPADDED: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2,3})?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_BASE64: Final = re.compile(r"\s*eyJ[A-Za-z0-9+/=\s]*")

_DEEPEST: Final = 10_000  # encoding/json refuses deeper nesting
_SLICE: Final = 100  # what Python's decoder may recurse, wherever in a stack this is called from
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)


class MalformedPullSecret(ValueError):
    """A pull Secret that the kubelet cannot read, which fails every image pull of each Pod that names it.

    ``secret_index`` is the Secret's place in the Pod's order, from 0. ``reason`` says what is malformed and where
    (names of fields and registries), never a value.
    """

    def __init__(self, reason: str, *, secret_index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.secret_index = secret_index

    def __str__(self) -> str:
        return f"pull Secret {self.secret_index + 1} is malformed: {self.reason}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One registry's credential in a docker config, as the kubelet decodes it.

    ``raw_key`` is the registry as written, but with anything before an ``@`` masked, since it may be a password.
    ``key`` is what the kubelet files it under, ``None`` if it drops the entry; ``dropped`` then says why.
    ``ignored_fields`` names fields with a content that the kubelet does not read (``identitytoken``,
    ``registrytoken``; ``credsStore``, ``credHelpers`` of the whole file). Texts may hold any character, even NUL.
    """

    raw_key: str
    key: str | None
    username: str
    password: str = field(repr=False)
    dropped: str | None = None
    ignored_fields: tuple[str, ...] = ()

    @property
    def anonymous(self) -> bool:
        """Whether a runtime that is handed this entry pulls anonymously: it goes by the user name alone."""
        return not self.username

    @property
    def logs_in(self) -> bool:
        """Whether every runtime logs in with this entry: containerd asks for an anonymous token without a password."""
        return bool(self.username and self.password)

    def without_password(self) -> Entry:
        """Return the same entry fit to be kept: with an empty password."""
        return replace(self, password="")


def parse_entries(secret_type: str, data: Mapping[str, bytes], *, secret_index: int = 0) -> tuple[Entry, ...]:
    """Return the entries of one pull Secret, in the order of the file.

    ``data`` holds the decoded values of the Secret. A Secret whose type and data key do not belong together, or whose
    value is empty, has no entries: the kubelet passes over it without a word. Raises ``MalformedPullSecret`` where the
    kubelet fails.
    """
    value = data.get(DATA_KEYS.get(secret_type, ""), b"")
    if not value:
        return ()
    try:
        return tuple(_entries(_decode_json(value), flat=secret_type == DOCKER_CFG))
    except MalformedPullSecret as malformed:
        malformed.secret_index = secret_index
        raise


def _entries(document: Any, *, flat: bool) -> Iterator[Entry]:
    auths: dict[str, tuple[Any, ...]] = {}
    ignored: tuple[str, ...] = ()
    if flat:
        _merge(auths, document, where="the document")
    else:
        for name, value in _members(document, where="the document"):
            folded = _fold(name)
            if folded == "auths":
                if value is None:
                    auths.clear()
                _merge(auths, value, where=name)
            elif folded == "httpheaders":
                for header, text in _members(value, where=name):
                    _string(text, where=f"{name}[{_shown(header)}]")
            elif folded in _IGNORED_FILE_FIELDS and value:
                ignored = (*ignored, _IGNORED_FILE_FIELDS[folded])
    for raw_key, (username, password, fields) in auths.items():
        key: str | None = None
        dropped: str | None = None
        try:
            key = parse_key(raw_key)
        except InvalidKey as invalid:
            dropped = str(invalid)
        shown = _masked(raw_key, whole=key is None)
        yield Entry(shown, key, username, password, dropped=dropped, ignored_fields=(*fields, *ignored))


def _merge(auths: dict[str, tuple[Any, ...]], value: Any, *, where: str) -> None:
    """Add the registries of one object to those read before: Go decodes a repeated field into the same map."""
    for registry, entry in _members(value, where=where):
        auths[registry] = _credential(entry, registry)


def _credential(entry: Any, registry: str) -> tuple[str, str, tuple[str, ...]]:
    """Return user name, password and the names of ignored fields of the entry for `registry`."""
    texts = dict.fromkeys(_ENTRY_FIELDS, "")
    ignored: list[str] = []
    # What an error would say is put together only where there is one.
    for name, value in entry if isinstance(entry, tuple) else _members(entry, where=_entry_of(registry)):
        folded = _fold(name)
        if folded in texts:
            if isinstance(value, str) and value.isascii():
                texts[folded] = value
            else:
                # null leaves what an earlier field of the same name has set
                texts[folded] = _string(value, where=f"{folded} of {_entry_of(registry)}", unset=texts[folded])
        elif folded in _IGNORED_ENTRY_FIELDS and value and folded not in ignored:
            ignored.append(folded)
    if not texts["auth"]:
        return texts["username"], texts["password"], tuple(ignored)
    username, password = _decode_auth(texts["auth"], registry)
    return username, password, tuple(ignored)


def _entry_of(registry: str) -> str:
    return f"the entry {_shown(registry)}"


def _decode_auth(auth: str, registry: str) -> tuple[str, str]:
    """Decode ``base64(username:password)``; line breaks are ignored anywhere, spaces nowhere."""
    compact = auth.replace("\r", "").replace("\n", "")
    if not (_PADDED if compact.endswith("=") else _UNPADDED).fullmatch(compact):
        raise MalformedPullSecret(f"auth of {_entry_of(registry)} is not valid base64")
    decoded = _text(binascii.a2b_base64(compact + "=" * (-len(compact) % 4)))
    username, colon, password = decoded.partition(":")
    if not colon:
        where = _entry_of(registry)
        raise MalformedPullSecret(f"auth of {where} is not base64 of username:password, there is no colon in it")
    return username, password


def _members(value: Any, *, where: str) -> tuple[tuple[str, Any], ...]:
    """Return name and value of each member of an object, none for null; repeated names stay repeated."""
    if value is None:
        return ()
    if not isinstance(value, tuple):
        raise MalformedPullSecret(f"{where} must be an object, not {_kind(value)}")
    return tuple([(name if name.isascii() else _SURROGATE.sub("\ufffd", name), member) for name, member in value])


def _string(value: Any, *, where: str, unset: str = "") -> str:
    if value is None:
        return unset
    if not isinstance(value, str):
        raise MalformedPullSecret(f"{where} must be a string, not {_kind(value)}")
    return _SURROGATE.sub("\ufffd", value)


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a string"
    return "a number" if value is _NUMBER else "a boolean"


def _fold(name: str) -> str:
    """Fold a field name as Go does: case, and the two letters outside ASCII (ſ, K) whose other case is within it."""
    return name.lower() if name.isascii() else name.replace("\u017f", "s").lower()


def _masked(key: str, *, whole: bool) -> str:
    """Hide the user info of a key. In a key that is no URL (``whole``) it may end at any ``@``."""
    scheme, separator, rest = key.rpartition("://") if key.startswith(("https://", "http://")) else ("", "", key)
    authority, slash, path = (rest, "", "") if whole else rest.partition("/")
    _, at, host = authority.rpartition("@")
    return f"{scheme}{separator}***@{host}{slash}{path}" if at else key


def _shown(registry: str) -> str:
    """Return a registry key fit for a message: masked, short, on one line."""
    shown = "".join(
        character if character.isprintable() else "\ufffd" for character in _masked(registry, whole=True)[:100]
    )
    return f'"{shown}"'


def _text(value: bytes) -> str:
    """Decode UTF-8 as Go does: one replacement character for each bad byte, where Python puts one for several."""
    text = value.decode("utf-8", errors="surrogateescape")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


class _Number:
    """Stands for any number: no field the kubelet reads may be one, so how large or precise it is does not matter."""


_NUMBER: Final = _Number()


def _number(_literal: str) -> _Number:
    return _NUMBER


def _no_constant(_literal: str) -> Never:
    raise ValueError("NaN and Infinity are not JSON")


# Objects become tuples of pairs, so that repeated names survive and an object is told from a list.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=_number, parse_float=_number, parse_constant=_no_constant
)


def _decode_json(value: bytes) -> Any:
    """Decode a document; objects become tuples of pairs. Raises ``MalformedPullSecret``, never ``RecursionError``."""
    text = _text(value)
    try:
        return _DECODER.decode(_without_depths(text))
    except json.JSONDecodeError as error:
        # of a deep document the decoder has seen slices only
        position = f" (line {error.lineno}, column {error.colno})" if error.doc == text else ""
        reason = f"it is not valid JSON{position}"
    except ValueError:
        reason = "it is not valid JSON"
    # Raised out here so that the decoder's error, which carries the whole document, does not stay attached to this one.
    if not text.strip():
        reason = "it is empty but for white space"
    elif text.startswith("\ufeff"):
        reason = "it begins with a byte order mark, which is not JSON"
    elif _LOOKS_LIKE_BASE64.fullmatch(text):
        reason = "it is not JSON, it looks encoded with base64 twice"
    raise MalformedPullSecret(reason)


def _without_depths(text: str) -> str:
    """Check containers nested deeper than ``_SLICE`` and return the document with a number in place of each.

    Nothing the kubelet reads is nested so deep, but it refuses a document for bad syntax anywhere; and Python's
    decoder is recursive. Raises ``ValueError`` for bad syntax and nesting beyond Go's limit.
    """
    if text.count("[") + text.count("{") <= _SLICE:
        return text
    slices: list[list[str]] = [[]]
    depth = start = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > _DEEPEST:
                raise ValueError("nested too deep")
            if depth % _SLICE == 0:
                slices[-1].append(text[start : token.start()])
                slices.append([])
                start = token.start()
        elif token[0] in "]}":
            if depth % _SLICE == 0 and len(slices) > 1:
                _DECODER.decode("".join((*slices.pop(), text[start : token.end()])))
                slices[-1].append("0")
                start = token.end()
            depth -= 1
    if len(slices) > 1:
        raise ValueError("not closed")
    return "".join((*slices[0], text[start:]))
