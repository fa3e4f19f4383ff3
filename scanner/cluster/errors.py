"""What can go wrong between Credboard and an API server, in words for people, and how an answer becomes such an error.

Every error says what was asked, of whom, and (in `remedy`) what to do about it. A body is never quoted, except for
`Status.message` of Kubernetes' own error object, without control characters and cut at 256 characters; and not even
that when it contains a piece of what was sent. Sources: Kubernetes API conventions, "Response Status Kind" and
"HTTP Status codes"; apimachinery `pkg/apis/meta/v1/types.go` (Status, StatusReason).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

MESSAGE_LIMIT: Final = 256

Kind = Literal["tls", "dns", "refused", "timeout", "server", "body", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, as RBAC names it: what the words of an error are about. `api` is group/version, "" for the core."""

    verb: str
    resource: str
    api: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        one = f" {self.name!r}" if self.name else ""
        where = f" in the Namespace {self.namespace!r}" if self.namespace else ""
        return f"{self.verb} {self.resource}{one}{where}"


class ClusterError(Exception):
    """A cluster did not do what it was asked. `str()` says what happened, `remedy` what to do, `status` is the HTTP
    status of the answer, 0 when there was none."""

    def __init__(self, message: str, *, remedy: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.status = status


class BadConfiguration(ClusterError):
    """There is no kubeconfig, or it cannot be used: unknown context, unreadable file, missing sign-in command."""


class Unauthenticated(ClusterError):
    """The API server does not accept who we say we are (401)."""


class Forbidden(ClusterError):
    """We may not do that (403). `grant` holds the kubectl commands that would allow it; empty when RBAC is not what
    refused (an admission webhook, a Namespace that is being deleted, a proxy)."""

    def __init__(self, message: str, *, ask: Ask, grant: tuple[str, ...] = (), remedy: str = "") -> None:
        super().__init__(message, remedy=remedy or "\n".join(grant), status=403)
        self.ask = ask
        self.grant = grant

    @property
    def verb(self) -> str:
        return self.ask.verb

    @property
    def resource(self) -> str:
        return self.ask.resource

    @property
    def namespace(self) -> str:
        return self.ask.namespace


class CannotActAs(Forbidden):
    """We may not write in the name of that person: Kubernetes bounds who may be impersonated."""


class ClusterWideForbidden(Forbidden):
    """Lists over all Namespaces are forbidden for `resources`, without which a cluster-wide scan would mistake "may not
    see" for "is not there". Read Namespace by Namespace instead."""

    def __init__(self, refusals: Iterable[Forbidden]) -> None:
        refused = list(refusals)
        self.resources = frozenset(one.resource for one in refused)
        super().__init__(
            f"Credboard may not list {', '.join(sorted(self.resources))} in all Namespaces of this cluster.",
            ask=refused[0].ask,
            grant=tuple(command for one in refused for command in one.grant),
        )


class QuotaExceeded(ClusterError):
    """A ResourceQuota of the Namespace leaves no room (403 "exceeded quota")."""


class NotFound(ClusterError):
    """It is not there (404)."""


class Conflict(ClusterError):
    """It is there already, or is not the one that was meant (409). `reason` is "AlreadyExists" or "Conflict"."""

    def __init__(self, message: str, *, reason: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, status=409)
        self.reason = reason


class Invalid(ClusterError):
    """The API server will not have it (422, 400). `causes` are (field, message) pairs."""

    def __init__(self, message: str, *, causes: Iterable[tuple[str, str]] = (), status: int = 422) -> None:
        super().__init__(message, status=status)
        self.causes = list(causes)


class Gone(ClusterError):
    """A list took longer than the API server remembers (410). `continue_token` goes on from the same key at a newer
    revision; "" when the server gave none."""

    def __init__(self, message: str, *, continue_token: str = "") -> None:
        super().__init__(message, remedy="Scan again.", status=410)
        self.continue_token = continue_token


class Throttled(ClusterError):
    """The API server asked us to come back later (429), more often or for longer than we wait.

    `retry_after` are the seconds it asked for."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        remedy = "The API server is overloaded or limits this account (API Priority and Fairness). Scan less often."
        super().__init__(message, remedy=remedy, status=429)
        self.retry_after = retry_after


class Unavailable(ClusterError):
    """No usable answer. `kind` is one of tls, dns, refused, timeout, server (5xx), body (not what an API server says)
    and other."""

    def __init__(self, message: str, *, kind: Kind, remedy: str = "", status: int = 0) -> None:
        super().__init__(message, remedy=remedy, status=status)
        self.kind: Kind = kind


class StatusCause(msgspec.Struct, frozen=True):
    field: str = ""
    message: str = ""
    reason: str = ""


class StatusDetails(msgspec.Struct, frozen=True):
    causes: list[StatusCause] | None = None


class StatusMeta(msgspec.Struct, frozen=True):
    continue_: str = msgspec.field(default="", name="continue")


class Status(msgspec.Struct, frozen=True):
    """Kubernetes' own error object."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    metadata: StatusMeta | None = None
    details: StatusDetails | None = None


_status_decoder: Final = msgspec.json.Decoder(Status)


def read_status(body: bytes) -> Status | None:
    """The Status object in an error's body; None when it holds none (a proxy's page, half a body)."""
    try:
        status = _status_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return status if status.kind == "Status" else None


def printable(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """`text` on one line, without control or invisible formatting characters, at most `limit` characters long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


_URL: Final = re.compile(r"(?:the server )?https?://[^\s\"'<>()]*[^\s\"'<>().,:;]", re.IGNORECASE)
_IP: Final = re.compile(r"\[[0-9a-f:.]+\](?::\d+)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", re.IGNORECASE)


def without_addresses(text: str) -> str:
    """The words of an error for people who need not know where the API server is: those who own a Namespace."""
    told = _IP.sub("an address", _URL.sub("the API server", text))
    return told[:1].upper() + told[1:] if _URL.match(text) else told


def words_for_owners(error: ClusterError) -> str:
    """What `error` says, for people who do not run Credboard: no address, and nothing of its configuration."""
    if isinstance(error, BadConfiguration):
        return NOT_CONFIGURED
    return without_addresses(str(error))


NOT_CONFIGURED: Final = (
    "Credboard cannot use this cluster as it is configured. An operator of Credboard can see why, and change it."
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values that must not come back in the words of an error. Shows nothing of them itself."""

    values: tuple[str, ...] = field(default=(), repr=False)

    def quoted_in(self, text: str) -> bool:
        """True when `text` contains one of the values whole (from 3 characters on), or any 8 characters of one."""
        pieces = {text[i : i + 8] for i in range(len(text) - 7)}
        return any((len(v) >= 3 and v in text) or any(piece in v for piece in pieces) for v in self.values)

    def clean(self, text: str) -> str:
        shown = printable(text)
        return "(not shown: the answer quotes the Secret)" if self.quoted_in(shown) else shown


def refused(
    http_status: int,
    body: bytes,
    *,
    ask: Ask,
    server: str,
    retry_after: float | None = None,
    secrets: Secrets,
    person: str = "",
) -> ClusterError:
    """The error that an answer of `http_status` (not 2xx) means. `person`: in whose name it was asked."""
    told = read_status(body)
    said = secrets.clean(told.message) if told and told.message else ""
    tail = f": {said}" if said else "."
    match http_status:
        case 401:
            return Unauthenticated(
                f"{server} does not accept Credboard's credentials{tail}",
                remedy="Renew the token or certificate of this cluster's kubeconfig until kubectl works with it.",
                status=401,
            )
        case 403 if told and "exceeded quota" in told.message:
            return QuotaExceeded(
                f"The quota of the Namespace {ask.namespace!r} is used up{tail}",
                remedy="Delete what is no longer needed there, or have the ResourceQuota raised.",
                status=403,
            )
        case 403:
            return _forbidden(told, said, ask, person)
        case 404 if told:
            return NotFound(f"Not found ({ask}){tail}", status=404)
        case 409:
            reason = told.reason if told else "Conflict"
            return Conflict(f"Conflict ({ask}){tail}", reason=reason or "Conflict", remedy="Reload, and try again.")
        case 410:
            token = told.metadata.continue_ if told and told.metadata else ""
            return Gone(f"The list of {ask.resource} expired while it was being read.", continue_token=token)
        case 400 | 422 if told:
            causes = (told.details and told.details.causes) or ()
            pairs = [(printable(c.field), secrets.clean(c.message)) for c in causes]
            return Invalid(f"Refused as invalid ({ask}){tail}", causes=pairs, status=http_status)
        case 429:
            return Throttled(f"{server} has too many requests to answer ({ask}){tail}", retry_after=retry_after)
    if http_status >= 500:
        return Unavailable(
            f"{server} answered {http_status} ({ask}){tail}",
            kind="server",
            remedy="See whether the API server is healthy: kubectl get --raw '/readyz?verbose'",
            status=http_status,
        )
    return not_kubernetes(server, ask, f"HTTP status {http_status}", status=http_status)


def not_kubernetes(server: str, ask: Ask, what: str, *, status: int = 0) -> Unavailable:
    """The answer is no answer of a Kubernetes API server; `what` says in a few words what it was."""
    return Unavailable(
        f"{server} did not answer as a Kubernetes API server does ({ask}): {what}.",
        kind="body",
        remedy="Check the server address in the kubeconfig, and whether a proxy or sign-in page stands in between.",
        status=status,
    )


def _forbidden(told: Status | None, said: str, ask: Ask, person: str) -> Forbidden:
    where = f"in the Namespace {ask.namespace!r}" if ask.namespace else "in the whole cluster"
    if person and told and (who := _IMPERSONATION.search(told.message)):
        return _cannot_act_as(who["resource"] or "users", who["name"] or person, who["account"], ask=ask)
    # rbac.go: `User "u" cannot list resource "secrets" in API group "" ...`. Other refusals need other remedies.
    match = re.search(r'User "([^"]+)" cannot \w+ ', told.message) if told else None
    if match is None:
        tail = f": {said}" if said else " by something that is not Kubernetes RBAC."
        remedy = "Ask who runs the cluster: this is not a missing Role, but an admission rule or a proxy."
        return Forbidden(f"Refused ({ask}){tail}", ask=ask, remedy=remedy)
    user = match[1]
    message = f"{printable(user, 100)} may not {ask.verb} {ask.resource} {where}."
    return Forbidden(message, ask=ask, grant=grant_commands(user, ask))


#: endpoints/filters/impersonation: `users "ada" is forbidden: User "u" cannot impersonate resource "users" ...`. Newer
#: servers often say only that the account "cannot impersonate-on:user-info:create" the thing, and not whom.
_IMPERSONATION: Final = re.compile(
    r'(?:^(?P<resource>users|groups) "(?P<name>.*)" is forbidden: )?User "(?P<account>[^"]+)" cannot impersonate[ -]'
)


def _cannot_act_as(resource: str, name: str, account: str, *, ask: Ask) -> CannotActAs:
    service_account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", account)
    subject = f"--serviceaccount={service_account[1]}:{service_account[2]}" if service_account else f"--user={account}"
    role = f"credboard-impersonate-{_slug(name)}"
    create = ["clusterrole", role, "--verb=impersonate", f"--resource={resource}", f"--resource-name={name}"]
    bind = ["clusterrolebinding", role, f"--clusterrole={role}", subject]
    who = f"the group {printable(name, 100)}" if resource == "groups" else printable(name, 100)
    return CannotActAs(
        f"Kubernetes does not let Credboard act for {who}, so nothing can be written in their name.",
        ask=ask,
        grant=(shlex.join(["kubectl", "create", *create]), shlex.join(["kubectl", "create", *bind])),
    )


def grant_commands(user: str, ask: Ask) -> tuple[str, str]:
    """The two kubectl commands that let `user` do what `ask` says: a Role (or ClusterRole) and its binding."""
    resource = f"{ask.resource}.{ask.api.partition('/')[0]}" if ask.api else ask.resource
    role = f"credboard-{ask.verb}-{ask.resource}".replace("/", "-")
    binding = f"{role}-{_slug(user)}"
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    subject = f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={user}"
    verbs = [f"--verb={ask.verb}", f"--resource={resource}"]
    if ask.namespace:
        scope = [f"--namespace={ask.namespace}"]
        create = ["role", role, *verbs, *scope], ["rolebinding", binding, f"--role={role}", subject, *scope]
    else:
        create = ["clusterrole", role, *verbs], ["clusterrolebinding", binding, f"--clusterrole={role}", subject]
    return shlex.join(["kubectl", "create", *create[0]]), shlex.join(["kubectl", "create", *create[1]])


def _slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
