"""From a kubeconfig, or the ServiceAccount of our own Pod, to an authenticated client. The only import of `kubernetes`.

Files are merged and relative paths resolved as kubectl does it (client-go `tools/clientcmd/loader.go`: of several files
the first to name a thing wins, relative paths are relative to their file). The official client then does the rest: TLS,
tokens and their renewal, sign-in commands. Its own error texts are never shown, since they quote the user entry with
its token. Kubeconfig files are read, never written.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config

from scanner.cluster.errors import BadConfiguration, printable

#: What the client library raises for a failed TLS handshake, and for credentials that it cannot renew.
ClientError: Final = client.ApiException
SignInError: Final = config.ConfigException

IN_CLUSTER: Final = "in-cluster"
_LISTS: Final = ("clusters", "contexts", "users")
_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class _WithoutQuotes(logging.Filter):
    """Drops what the library logs about sign-in commands: it quotes their output, which is where tokens are."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.module != "kube_config"


# The library writes to the root logger itself; a filter there sees nothing of other loggers.
logging.getLogger().addFilter(_WithoutQuotes())


@dataclass(frozen=True, slots=True)
class Connection:
    """An authenticated client, the name of its context ("in-cluster" for our own Pod's) and the server's address."""

    client: client.ApiClient
    name: str

    @property
    def server(self) -> str:
        return str(self.client.configuration.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One context of a kubeconfig, with the bodies of its entries. They hold secrets."""

    name: str
    cluster: dict[str, Any] = field(repr=False)
    user_name: str
    user: dict[str, Any] = field(repr=False)


def connect(path: str | None, context: str | None) -> Connection:
    """With `path` None: $KUBECONFIG, else ~/.kube/config, else the ServiceAccount of the Pod we run in.

    Raises BadConfiguration.
    """
    document = _merged(path, context)
    return _in_cluster() if document is None else _connect(document, context)


def chosen(path: str | None, context: str | None) -> Chosen | None:
    """The context that `connect` would use, None for the ServiceAccount of our own Pod. Raises BadConfiguration."""
    document = _merged(path, context)
    return None if document is None else _choose(document, context)


def usual_places() -> str:
    """The kubeconfig files that `connect` uses without a path, absolute and as $KUBECONFIG joins them; "" for none."""
    return os.pathsep.join(str(file.absolute()) for file in _files(_usual()))


def _usual() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def _files(places: str) -> list[Path]:
    return [file for part in places.split(os.pathsep) if part and (file := Path(part).expanduser()).exists()]


def _merged(path: str | None, context: str | None) -> dict[str, Any] | None:
    places = path or _usual()
    files = _files(places)
    if files:
        return _merge([_read(file) for file in files])
    if path is None and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    raise BadConfiguration(
        f"There is no kubeconfig at {places}.",
        remedy="Name one with --kubeconfig or $KUBECONFIG; inside a cluster none is needed.",
    )


def connect_text(text: str, context: str | None) -> Connection:
    """With the kubeconfig in `text`. Paths and sign-in commands in it are those of this machine: take it only from
    people who may run commands here. Raises BadConfiguration."""
    return _connect(_parse(text, "the stored kubeconfig", Path.cwd()), context)


def _in_cluster() -> Connection:
    configuration = _configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise BadConfiguration(
            f"The ServiceAccount of this Pod cannot be used: {printable(str(error))}",
            remedy="Set automountServiceAccountToken on the Pod or its ServiceAccount, or give a kubeconfig.",
        ) from None
    return Connection(_client(configuration), IN_CLUSTER)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadConfiguration(f"The kubeconfig {file} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise BadConfiguration(f"The kubeconfig {file} is not a text file.") from None
    return _parse(text, str(file), file.resolve().parent)


def _parse(text: str, source: str, base: Path) -> dict[str, Any]:
    """The kubeconfig in `text`, its shape checked and its relative paths made absolute."""
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise BadConfiguration(f"{source} is not valid YAML{line}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadConfiguration(f"{source} is not valid YAML.") from None
    if not isinstance(document, dict):
        raise BadConfiguration(f"{source} is not a kubeconfig.")
    for kind in _LISTS:
        document[kind] = document.get(kind) or []
        for entry in document[kind] if isinstance(document[kind], list) else [None]:
            body = entry.get(kind[:-1]) if isinstance(entry, dict) else None
            if not isinstance(body, dict | None) or not isinstance(entry, dict) or "name" not in entry:
                raise BadConfiguration(f"{source} is not a kubeconfig: its {kind} are not a list of named entries.")
            entry[kind[:-1]] = body = body or {}
            _resolve(body, base)
    return document


def _resolve(body: dict[str, Any], base: Path) -> None:
    for key in _PATHS:
        if isinstance(body.get(key), str) and body[key]:
            body[key] = str(base / body[key])
    command = body.get("exec")
    # Only a command with a slash is a path; a bare name is looked up in PATH (loader.go, ResolveLocalPaths).
    if isinstance(command, dict) and isinstance(command.get("command"), str) and "/" in command["command"]:
        command["command"] = str(base / command["command"])


def _merge(documents: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"current-context": ""}
    for document in documents:
        merged["current-context"] = merged["current-context"] or document.get("current-context")
    for kind in _LISTS:
        by_name: dict[str, Any] = {}
        for document in documents:
            for entry in document[kind]:
                by_name.setdefault(str(entry["name"]), entry)
        merged[kind] = list(by_name.values())
    return merged


def _choose(document: dict[str, Any], context: str | None) -> Chosen:
    name = context or document.get("current-context")
    names = sorted(str(entry["name"]) for entry in document["contexts"])
    known = f"Its contexts are: {printable(', '.join(names), 500)}." if names else "It has no contexts."
    if not name:
        raise BadConfiguration("The kubeconfig has no current context.", remedy=f"Name one with --context. {known}")
    pair = _entry(document, "contexts", name)
    if pair is None:
        raise BadConfiguration(f"The kubeconfig has no context {name!r}.", remedy=known)
    cluster = _entry(document, "clusters", pair.get("cluster"))
    if cluster is None or not _is_address(cluster.get("server")):
        raise BadConfiguration(f"The context {name!r} of the kubeconfig names no cluster with the address of a server.")
    user = _entry(document, "users", pair["user"]) if pair.get("user") else {}
    if user is None:
        raise BadConfiguration(f"The context {name!r} names the user {pair['user']!r}, which the kubeconfig lacks.")
    return Chosen(name=str(name), cluster=cluster, user_name=str(pair.get("user") or ""), user=user)


def _connect(document: dict[str, Any], context: str | None) -> Connection:
    found = _choose(document, context)
    name, cluster, user = found.name, found.cluster, found.user
    command = _sign_in_command(user)
    configuration = _configuration()
    try:
        config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
            document, context=name, client_configuration=configuration
        )
    except Exception as error:
        # Whatever the library stumbles over: its text may quote the token, so only files that are missing are named.
        missing = [body[k] for body in (cluster, user) for k in _PATHS if k in body and not Path(body[k]).is_file()]
        reason = f"the file {missing[0]} does not exist" if missing else f"it is malformed ({type(error).__name__})"
        raise BadConfiguration(f"The context {name!r} of the kubeconfig cannot be used: {reason}.") from None
    if command and not configuration.auth_settings() and not configuration.cert_file:
        raise BadConfiguration(
            f"The command {command!r}, with which the kubeconfig signs in, gave no credentials.",
            remedy=f"Run any kubectl command with the context {name!r}, and sign in again if it asks for that.",
        )
    return Connection(_client(configuration), name)


def _is_address(server: object) -> bool:
    try:
        return (
            isinstance(server, str) and bool(urlsplit(server).hostname) and server.startswith(("http://", "https://"))
        )
    except ValueError:
        return False


def _entry(document: Mapping[str, Any], kind: str, name: object) -> dict[str, Any] | None:
    for entry in document[kind]:
        if entry["name"] == name:
            body: dict[str, Any] = entry[kind[:-1]]
            return body
    return None


def _sign_in_command(user: Mapping[str, Any]) -> str:
    """The command of an exec plugin, "" without one. Raises BadConfiguration when this machine does not have it: the
    library would go on anonymously."""
    plugin = user.get("exec")
    if not plugin or user.get("token") or user.get("tokenFile"):
        return ""
    command = str(plugin.get("command", "")) if isinstance(plugin, dict) else ""
    if not command or shutil.which(command) is None:
        hint = str(plugin.get("installHint") or "") if isinstance(plugin, dict) else ""
        raise BadConfiguration(
            f"The kubeconfig signs in with the command {command!r}, which is not installed here.",
            remedy=printable(hint) or "Install it, or use a kubeconfig with a ServiceAccount's token.",
        )
    return command


def _configuration() -> client.Configuration:
    configuration = client.Configuration()
    # urllib3 must neither retry nor follow redirects on its own: `transport` decides what may be sent twice.
    configuration.retries = False
    return configuration


def _client(configuration: client.Configuration) -> client.ApiClient:
    made = client.ApiClient(configuration)
    made.user_agent = "credboard"
    return made
