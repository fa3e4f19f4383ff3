"""A kubeconfig that somebody gives to a web page: what is taken of it, what is refused, and what may be told of it.

A page must not make a worker run programs, read files of its machine, or send a token in clear. So commands and
auth-providers are refused, everything must be embedded, and the server is asked over https (over http only at this
machine itself). What is not known is dropped: only the chosen context is kept, with the fields that are listed here.
Fields: client-go `tools/clientcmd/api/v1/types.go`. Nothing here quotes a value of the file but names and the address.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from scanner.expiry import read_token
from scanner.pem import BadCertificates, read_pem

#: Bytes. A kubeconfig of dozens of clusters with all their certificates is smaller.
LARGEST: Final = 256 * 1024
LONGEST_NAME: Final = 253
EMBED: Final = "Embed it: kubectl config view --raw --flatten --minify prints such a kubeconfig."
_INSTEAD: Final = (
    "Use the token of a ServiceAccount: kubectl create token credboard --namespace credboard --duration 8760h"
)
#: Where clouds keep the credentials of machines, besides link-local addresses: AWS and Google by IPv6, Alibaba.
_METADATA: Final = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200"})
_LISTS: Final = ("clusters", "contexts", "users")
_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_KEPT_OF_CLUSTER: Final = ("server", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name")
_KEPT_OF_USER: Final = ("token", "client-certificate-data", "client-key-data", "username", "password")
#: Asking for somebody else's rights is for the settings of Credboard, not for a kubeconfig.
_IMPERSONATING: Final = ("as", "as-uid", "as-groups", "as-user-extra")


class BadKubeconfig(ValueError):
    """It is not taken. The text says why and what to do, and quotes nothing secret."""


class ManyContexts(BadKubeconfig):
    """It has several contexts, and none was chosen."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__("It has several contexts: choose one.")
        self.names = names


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a kubeconfig reaches its cluster, as far as it may be shown.

    `expires_at` is the end of its token or certificate, the earlier one; None when neither says so. `is_unverified`:
    whoever answers at `server` is believed to be it.
    """

    context: str
    server: str
    user: str
    expires_at: datetime | None = None
    is_unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is kept of a pasted kubeconfig: one context of it. `text` is the secret."""

    access: Access
    text: str = field(repr=False)


def take(text: str, context: str = "") -> Taken:
    """What is kept of the kubeconfig `text`: its context of that name, or the only one.

    Raises ManyContexts, and BadKubeconfig for everything else that is refused.
    """
    document = _document(text)
    names = tuple(str(entry["name"]) for entry in document["contexts"])
    if not names:
        raise BadKubeconfig("It has no contexts.")
    if not context and len(names) > 1:
        raise ManyContexts(names)
    chosen = context or names[0]
    if chosen not in names:
        raise BadKubeconfig(f"It has no context {_shown(chosen)!r}.")
    pair = _named(document, "contexts", chosen)
    cluster = _named(document, "clusters", pair.get("cluster"))
    user = _named(document, "users", pair.get("user")) if pair.get("user") else {}
    _check_cluster(cluster)
    refuse_programs(user)
    _check_user(user)
    kept = _kept(chosen, pair, cluster, user)
    return Taken(text=yaml.safe_dump(kept), access=access_of(chosen, cluster, str(pair.get("user") or ""), user))


def access_of(context: str, cluster: dict[str, Any], user_name: str, user: dict[str, Any]) -> Access:
    """What may be told of a context with the bodies of its `cluster` and `user` entries. Never raises for them."""
    ends = [end for end in (_end_of_token(user), _end_of_certificate(user)) if end]
    return Access(
        context=_shown(context),
        server=_shown(_without_password(str(cluster.get("server") or "")), 300),
        user=_shown(user_name),
        expires_at=min(ends, default=None),
        is_unverified=bool(cluster.get("insecure-skip-tls-verify")),
    )


def refuse_programs(user: dict[str, Any]) -> None:
    """Raises BadKubeconfig for a user entry whose sign-in runs a program."""
    if user.get("exec"):
        raise BadKubeconfig(f"It signs in by running a command (exec), which no web page may start. {_INSTEAD}")
    if user.get("auth-provider"):
        raise BadKubeconfig(f"It signs in through an auth-provider, which runs programs. {_INSTEAD}")


def _document(text: str) -> dict[str, Any]:
    if not text.strip():
        raise BadKubeconfig("It is empty.")
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise BadKubeconfig(f"It is larger than {LARGEST // 1024} KiB: give only the context that is needed.")
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise BadKubeconfig(f"It is not valid YAML{line}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadKubeconfig("It is not valid YAML.") from None
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise BadKubeconfig("It is not a kubeconfig.")
    return {kind: _entries(document.get(kind), kind) for kind in _LISTS}


def _entries(given: Any, kind: str) -> list[dict[str, Any]]:
    """The list of named entries of one kind."""
    entries = given or []
    body = kind[:-1]
    if not isinstance(entries, list):
        raise BadKubeconfig(f"It is not a kubeconfig: its {kind} are not a list.")
    for entry in entries:
        fits = isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get(body), dict)
        if not fits or len(entry["name"]) > LONGEST_NAME or not entry["name"].isprintable():
            raise BadKubeconfig(f"It is not a kubeconfig: its {kind} are not a list of named entries.")
    return entries


def _named(document: dict[str, Any], kind: str, name: Any) -> dict[str, Any]:
    for entry in document[kind]:
        if entry["name"] == name:
            body: dict[str, Any] = entry[kind[:-1]]
            return body
    raise BadKubeconfig(f"Its context names an entry of {kind} that it does not have.")


def _check_cluster(cluster: dict[str, Any]) -> None:
    _refuse_files(cluster)
    if cluster.get("proxy-url"):
        raise BadKubeconfig("It goes through a proxy (proxy-url). Set HTTPS_PROXY for Credboard's processes instead.")
    _check_address(cluster.get("server"))
    _check_base64(cluster, "certificate-authority-data")
    if not isinstance(cluster.get("insecure-skip-tls-verify", False), bool):
        raise BadKubeconfig("Its insecure-skip-tls-verify is neither true nor false.")


def _check_address(server: Any) -> None:
    try:
        parts = urlsplit(server) if isinstance(server, str) else None
        host = (parts.hostname if parts else None) or ""
        port = parts.port if parts else None
    except ValueError:
        parts, host, port = None, "", None
    if parts is None or not host or port == 0 or parts.query or parts.fragment:
        raise BadKubeconfig("Its cluster has no server with an address such as https://api.example.com:6443.")
    if parts.username or parts.password:
        raise BadKubeconfig("The address of its server holds a user or password. Give a token instead.")
    if is_nobodys(host):
        raise BadKubeconfig(f"The address of its server, {_shown(host, 80)}, is not one that an API server can have.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(host)):
        raise BadKubeconfig("Its server is not asked over https, so anyone on the way could read the token.")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_nobodys(host: str) -> bool:
    """True for addresses that answer for the machine itself, such as a cloud's metadata service; False for names."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if str(address) in _METADATA:
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return is_nobodys(str(address.ipv4_mapped))
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _check_user(user: dict[str, Any]) -> None:
    _refuse_files(user)
    if any(user.get(key) for key in _IMPERSONATING):
        raise BadKubeconfig("It acts as somebody else (as, as-groups). Give one whose own rights are enough.")
    for key in _KEPT_OF_USER:
        if not isinstance(user.get(key, ""), str):
            raise BadKubeconfig(f"The {key} of its user is not text.")
    for key in ("client-certificate-data", "client-key-data"):
        _check_base64(user, key)
    if bool(user.get("client-certificate-data")) != bool(user.get("client-key-data")):
        raise BadKubeconfig("It has a client certificate without its key, or a key without its certificate.")
    if not any(user.get(key) for key in _KEPT_OF_USER):
        raise BadKubeconfig(f"It has neither a token nor a client certificate. {EMBED}")


def _refuse_files(body: dict[str, Any]) -> None:
    for key in _FILES:
        if body.get(key):
            raise BadKubeconfig(f"It refers to a file ({key}), which is not here. {EMBED}")


def _check_base64(body: dict[str, Any], key: str) -> None:
    value = body.get(key)
    if value is None:
        return
    try:
        base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise BadKubeconfig(f"Its {key} is not base64.") from None


def _kept(name: str, pair: dict[str, Any], cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    where = {key: cluster[key] for key in _KEPT_OF_CLUSTER if cluster.get(key)}
    who = {key: user[key] for key in _KEPT_OF_USER if user.get(key)}
    context = {"cluster": str(pair["cluster"]), "user": str(pair.get("user") or "")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context["cluster"], "cluster": where}],
        "users": [{"name": context["user"], "user": who}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def _end_of_token(user: dict[str, Any]) -> datetime | None:
    value = user.get("token")
    token = read_token(value.strip().encode("utf-8", "replace")) if isinstance(value, str) else None
    return token.expires_at if token else None


def _end_of_certificate(user: dict[str, Any]) -> datetime | None:
    value = user.get("client-certificate-data")
    try:
        pem = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
        return read_pem(pem)[0].expires_at if pem else None
    except (binascii.Error, BadCertificates, ValueError):
        return None


def _without_password(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _shown(text: str, limit: int = LONGEST_NAME) -> str:
    return "".join(character for character in text if character.isprintable())[:limit]
