"""What is known about a missing pull Secret before anybody types: rows in, suggestions out. No Django, no clock."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanner.registry_key import DOCKER_HUB_KEY

#: The column of Secrets that workloads name; a missing pull Secret stands there while nobody knows its registry.
UNKNOWN_REGISTRY: Final = "secrets"
DOCKER_HUB_SERVER: Final = f"https://{DOCKER_HUB_KEY}/v1/"
MISSING: Final = "PS01"
READ_ONLY: Final = (
    "This Credboard only reads the cluster, so it creates nothing. Create the Secret with kubectl, or as you deploy "
    "the rest."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that the form fills in. `registry` is a host with port, "" where only the Secret's name is known;
    `expected` is true when workloads name `secret`, and it must be called so; `accounts` are those to tick."""

    credential: str
    registry: str
    secret: str
    expected: bool
    accounts: tuple[str, ...]
    pods: tuple[str, ...]
    pod_count: int

    @property
    def server(self) -> str:
        return server_of(self.registry)


def know(
    credential: str,
    findings: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    all_accounts: Collection[str],
    taken: Collection[str],
) -> Known:
    """`findings` are (code, details) of the open findings of this cell; `taken` are names of Secrets that are there."""
    registry = registry_of(credential)
    missing = ""
    if credential == UNKNOWN_REGISTRY:
        findings = [finding for finding in findings if finding[0] == MISSING]
    accounts: list[str] = []
    pods: list[str] = []
    count = 0
    for code, details in findings:
        named = _texts(details.get("secret"))
        if code == MISSING and named and not missing:
            missing = named[0]
        if not missing or not named or named[0] == missing:
            accounts += _texts(details.get("service_accounts")) + _texts(details.get("pod_accounts"))
        pods += _texts(details.get("pods"))
        count = max(count, int(details.get("pod_count") or 0))
    here = [name for name in dict.fromkeys(accounts) if name in all_accounts]
    if not here and "default" in all_accounts and not (missing and pods):
        here = ["default"]
    unique = tuple(dict.fromkeys(pods))
    return Known(
        credential=credential,
        registry=registry,
        secret=missing or suggest_name(registry, taken=taken),
        expected=bool(missing),
        accounts=tuple(here),
        pods=unique,
        pod_count=max(count, len(unique)),
    )


def registry_of(credential: str) -> str:
    """The host (with port) of a registry's column, else ""."""
    kind, _, rest = credential.partition("/")
    return rest if kind == "registry" else ""


def server_of(registry: str) -> str:
    """What `docker login` writes for the registry."""
    return DOCKER_HUB_SERVER if registry == "docker.io" else registry


def is_creatable(credential: str, codes: Collection[str]) -> bool:
    """True when a new pull Secret may put right the cell of `credential`, whose open findings have `codes`."""
    return bool(registry_of(credential)) or (credential == UNKNOWN_REGISTRY and MISSING in codes)


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if isinstance(one, str) and one]


def suggest_name(registry: str, *, taken: Collection[str]) -> str:
    """A free Secret name that says for what it is: "pull-harbor.example.com", the port behind a dash."""
    host = re.sub(r"[^a-z0-9.]+", "-", registry.lower()).strip("-.") or "registry"
    base = f"pull-{host}"[:240].rstrip("-.")
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def as_code(known: Known, *, namespace: str, name: str = "", accounts: Iterable[str] = ()) -> str:
    """The kubectl commands that do the same, with placeholders where the values go."""
    secret = name or known.secret
    at = f"--namespace {shlex.quote(namespace)}"
    server = shlex.quote(known.server) if known.registry else "'<registry>'"
    lines = [
        f"kubectl create secret docker-registry {shlex.quote(secret)} {at} \\",
        f"  --docker-server={server} \\",
        "  --docker-username='<user name>' --docker-password='<password or token>'",
    ]
    for account in accounts or known.accounts:
        # Not a patch: the list of pull Secrets is atomic, so a patch would drop what the ServiceAccount has already.
        lines.append(f"kubectl edit serviceaccount {shlex.quote(account)} {at}  # imagePullSecrets: add {secret}")
    return "\n".join(lines)
