"""Pull Secrets: one credential for each registry key of a docker config."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from scanner import raw
from scanner.credential import (
    ExpirySource,
    Field,
    Fingerprint,
    ParsedCredential,
    Unparsable,
    column,
    credential_kind,
)
from scanner.docker_config import DATA_KEYS, DOCKER_CONFIG_JSON, Entry, MalformedPullSecret, parse_entries
from scanner.expiry import ECR_LIFETIME, limit_expiry, read_ecr_password, read_token
from scanner.password import identify
from scanner.registry_key import DOCKER_HUB_KEY, url_matches

FIELDS: Final = (
    Field(
        name="server",
        label="Registry",
        help="As the images name it, for example quay.io or harbor.example.com:5000.",
        required=False,
    ),
    Field(
        name="username",
        label="User name",
        help="For a robot account its full name, such as robot$team+puller.",
        required=False,
    ),
    Field(name="password", label="Password or token", secret=True, required=False),
    Field(name="email", label="E-mail", help="Registries do not ask for it.", required=False),
    Field(
        name="config_json",
        label="config.json",
        help="Instead of the fields above: the content of a Docker config.json with an entry for the registry.",
        secret=True,
        required=False,
        multiline=True,
    ),
)
#: The base64 of a JSON object: it begins with `{"`, or with `{` and white space.
_BASE64_OF_JSON: Final = re.compile(rb"e[yw3][A-Za-z0-9+/]+=*")
#: What `encoding/json` of Go escapes inside strings and Python does not.
_GO_ESCAPES: Final = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def registry_of_key(key: str) -> str:
    """The host with port of a normalised key, as the columns write it: docker.io for index.docker.io; globs stay."""
    host = key.partition("/")[0]
    return "docker.io" if host == DOCKER_HUB_KEY else host


def build(values: Mapping[str, str]) -> dict[str, bytes]:
    """The data of a `kubernetes.io/dockerconfigjson` Secret, byte for byte what `kubectl create secret docker-registry`
    writes: from `config_json` unchanged if it is given, else from `username`, `password`, `server` and `email`.

    When `registry` (a host, as in a column) is given, the result must hold an entry for it. Raises `Unparsable`.
    """
    pasted = values.get("config_json", "")
    try:
        document = pasted.encode() if pasted.strip() else _document(values)
    except UnicodeEncodeError:
        raise Unparsable("The text holds characters that are not valid Unicode.") from None
    entries = _usable_entries(document) if pasted.strip() else _entries(document)
    registry = values.get("registry", "")
    if registry and not any(entry.key and _covers(entry.key, registry) for entry in entries):
        there = ", ".join(sorted({registry_of_key(entry.key)[:100] for entry in entries if entry.key})[:5]) or "none"
        raise Unparsable(f"It holds no entry that the kubelet would use for {registry}; it has entries for: {there}.")
    return {DATA_KEYS[DOCKER_CONFIG_JSON]: document}


def _document(values: Mapping[str, str]) -> bytes:
    """Compact JSON as Go writes it; see kubectl's `handleDockerCfgJSONContent`."""
    for name, label in (("server", "the registry"), ("username", "the user name"), ("password", "the password")):
        if not values.get(name):
            raise Unparsable(f"Fill in {label}, or paste a config.json instead.")
    username, password = values["username"], values["password"]
    entry = {"username": username, "password": password}
    if values.get("email"):
        entry["email"] = values["email"]
    entry["auth"] = base64.b64encode(f"{username}:{password}".encode()).decode()
    document = {"auths": {values["server"]: entry}}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_GO_ESCAPES).encode()


def _entries(document: bytes) -> tuple[Entry, ...]:
    try:
        return parse_entries(DOCKER_CONFIG_JSON, {DATA_KEYS[DOCKER_CONFIG_JSON]: document})
    except MalformedPullSecret as error:
        reason = error.reason
    # Raised out here: the first error's traceback holds the document.
    raise Unparsable(f"The kubelet could not read this config.json: {reason}.")


def _usable_entries(document: bytes) -> tuple[Entry, ...]:
    if DATA_KEYS[DOCKER_CONFIG_JSON].encode() in document:
        raise Unparsable("This is a whole Secret. Paste only the value of its .dockerconfigjson, decoded (base64 -d).")
    if _BASE64_OF_JSON.fullmatch(b"".join(document.split())):
        raise Unparsable("This is a config.json in base64, as a Secret holds it. Paste it decoded (base64 -d).")
    entries = _entries(document)
    if any(entry.key and entry.logs_in for entry in entries):
        return entries
    text = document.decode(errors="replace")
    helper = next((name for name in ("credsStore", "credHelpers") if f'"{name.lower()}"' in text.lower()), "")
    if helper:
        raise Unparsable(
            f"This config.json keeps its passwords elsewhere ({helper}), on the computer it comes from. "
            "Give user name and password instead, or log in on a computer without a credential helper."
        )
    if not entries:
        raise Unparsable('This config.json holds no entry: the kubelet reads the registries under "auths".')
    if any(entry.ignored_fields for entry in entries):
        raise Unparsable("Its entries hold only a token that the kubelet does not read (identitytoken, registrytoken).")
    raise Unparsable("None of its entries holds a user name and a password for a registry that the kubelet can use.")


def _covers(key: str, registry: str) -> bool:
    """Whether a key could be used for some image of `registry`."""
    host = registry_of_key(key)
    return host == registry or url_matches(host, f"{registry}/any")


@credential_kind(
    "docker-registry",
    "Registry",
    secret_types=DATA_KEYS,
    fields=FIELDS,
    creates=DOCKER_CONFIG_JSON,
    build=build,
)
def read(secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """One credential for each entry that the kubelet keeps. A Secret that it cannot read has none: see check PS02."""
    try:
        entries = parse_entries(secret.type, secret.data or {})
    except MalformedPullSecret:
        return
    yield from read_entries(entries, secret, fingerprint)


def read_entries(entries: Iterable[Entry], secret: raw.Secret, fingerprint: Fingerprint) -> Iterator[ParsedCredential]:
    """As `read`, where the `entries` of `secret` are known already."""
    for entry in entries:
        if entry.key is not None:
            yield limit_expiry(_credential(entry, entry.key, fingerprint), secret.metadata.annotations)


def _credential(entry: Entry, key: str, fingerprint: Fingerprint) -> ParsedCredential:
    registry = registry_of_key(key)
    expires_at: datetime | None = None
    issued_at: datetime | None = None
    source: ExpirySource = ""
    identity = identify(entry.password, entry.username, registry).kind
    flaw = _flaw(entry, registry, identity)
    token = read_token(entry.password.encode()) if entry.password.startswith("e") else None
    if token is not None:
        expires_at, issued_at, flaw = token.expires_at, token.issued_at, token.flaw or flaw
        source = "jwt" if expires_at else ""
    elif identity in ("ecr_private", "ecr_public"):
        expires_at = read_ecr_password(entry.password)
        if expires_at:
            issued_at, source = expires_at - ECR_LIFETIME, "ecr"
    return ParsedCredential(
        kind="docker-registry",
        credential=column("registry", registry),
        part=key,
        username=entry.username,
        expires_at=expires_at,
        expiry_source=source,
        issued_at=issued_at,
        starts_at=token.starts_at if token else None,
        never_expires=token is not None and token.expires_at is None and not token.flaw,
        fingerprint=fingerprint(entry.username, entry.password),
        flaw=flaw,
        identity="" if identity == "opaque" else identity,
        intended_end=token.intended_end if token else None,
    )


def _flaw_of_key(entry: Entry) -> str:
    """Google's registries want the key file under one user name as it is, under the other in base64."""
    is_json = entry.password.lstrip().startswith("{")
    if entry.username == "_json_key" and not is_json:
        # base64 of "{" and a quote, a space or a line break
        if entry.password.lstrip().startswith(("ey", "ew")):
            return "the key is base64 although the user name is _json_key; _json_key_base64 is the one for that"
        return "the user name is _json_key, and the password is not the JSON of a key file"
    if entry.username == "_json_key_base64" and is_json:
        return "the key is not base64 although the user name is _json_key_base64; _json_key is the one for that"
    return ""


def _flaw(entry: Entry, registry: str, identity: str) -> str:
    """What is wrong with an entry that the kubelet takes all the same."""
    if entry.anonymous:
        if entry.ignored_fields:
            return f"it holds only {', '.join(entry.ignored_fields)}, which the kubelet does not read"
        return "it holds no user name, so the node pulls anonymously"
    if not entry.logs_in:
        if entry.ignored_fields:
            return f"it holds no password, only {', '.join(entry.ignored_fields)}, which the kubelet does not read"
        return "it holds no password, so the node pulls anonymously"
    if words := _flaw_of_key(entry):
        return words
    if entry.username != entry.username.strip():
        return "the user name has white space around it, which is sent to the registry with it"
    if entry.password != entry.password.rstrip("\r\n") and identity != "gcp_sa_key":
        return "the password ends with a line break, which is sent to the registry with it"
    if identity == "github_fine_grained_pat" and registry == "ghcr.io":
        return "it is a fine-grained token, and ghcr.io takes classic ones only"
    if entry.username == "robot" and registry != "docker.io":
        return "the user name is just robot: a shell may have eaten the part after the $ of a Harbor robot account"
    if identity == "suspect_harbor_robot_shell_eaten":
        return "a shell may have eaten the part after the $ of a Harbor robot account from the user name"
    return ""
