"""One cell as its drawer shows it: why, whom it hurts, what to do. Rows in, values out: no Django, no clock."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scanner.check import Check, Status, rank
from scanner.pull_failure import Cause
from scanner.snapshot import OWNER_ANNOTATION
from scanner.verdict import MOST_CELLS, MOST_FINDINGS

MAX_PODS: Final = 50

#: Where an expiry date comes from, as people say it.
EXPIRY_SOURCES: Final[Mapping[str, str]] = {
    "x509": "the certificate itself",
    "jwt": "the token itself",
    "declared": "an annotation of the Secret",
    "registry": "the registry",
    "ecr": "the ECR password itself",
    "kubeconfig": "the kubeconfig itself",
    "pkcs12": "the keystore itself",
    "jks": "the keystore itself",
    "external-secrets": "External Secrets",
    "derived": "how long such a one lasts",
    "bootstrap": "the bootstrap token itself",
    "invalidated": "Kubernetes, which has invalidated it",
}

#: How a credential came to be called fine.
VERIFIED: Final[Mapping[str, str]] = {
    "probe": "the registry accepted it",
    "pod": "a Pod started with it",
    "pulled": "a Pod pulled with it",
}

#: The links of a chain, as headings.
STEPS: Final[Mapping[str, str]] = {
    "image": "Image",
    "pod": "Pod",
    "pull-secrets": "Pull Secrets",
    "secret": "Secret",
    "key": "Key",
    "registry": "Registry",
}

HEADLINES: Final[Mapping[str, str]] = {
    "missing": "Missing here",
    "rejected": "The registry rejects it (401)",
    "denied": "Not allowed to pull this (403)",
    "malformed": "The Secret cannot be read",
    "wrong-host": "Made for another host",
    "wrong-type": "The Secret has the wrong type",
    "expired": "Expired",
    "expiring": "Expires",
    "unlinked": "Here, but nothing refers to it",
    "failing": "Pods fail",
    "latent": "Works only while the image is cached",
    "shadowed": "Another entry is used instead",
    "elsewhere": "Exists in another Namespace only",
    "long-lived": "Never ends",
    "literal": "Written out in a Pod",
    "not-checked": "Not checked",
    "unreachable": "Could not be asked",
    "too-many": f"More than {MOST_CELLS} credentials or {MOST_FINDINGS:,} findings here: the others are not shown",
}


#: What a check says better than the reason of its finding: a Secret that does not fit is not one that cannot be read.
HEADLINES_OF_CHECKS: Final[Mapping[str, str]] = {
    "CE03": "Certificate and key do not belong together",
    "CE04": "The chain lacks an intermediate certificate",
    "CE05": "Not valid yet",
    "TK05": "The session token is missing",
}

#: Reasons whose headline needs the time that follows it: "Expired 4 d ago", "Expires in 3 d".
ENDINGS: Final = frozenset({"expired", "expiring"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStep:
    """`state` is "ok", "broken", "unknown" or "after" (behind the broken step, so it did not come to it)."""

    step: str
    state: str
    title: str
    note: str

    @property
    def spoken(self) -> str:
        return {"ok": "fine", "broken": "broken here", "unknown": "not known"}.get(self.state, "not reached")

    @property
    def icon(self) -> str:
        return {"ok": "ok", "broken": "broken", "unknown": "unknown"}.get(self.state, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPod:
    """`raw` is what the runtime said, without secrets (`words.without_secrets`)."""

    name: str
    cause: str = ""
    advice: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding as stored."""

    code: str
    object: str
    credential: str
    status: str
    reason: str
    message: str
    first_seen_at: datetime
    resolved_at: datetime | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A finding with what its check says about all findings of its kind; `more` others say the same."""

    code: str
    name: str
    object: str
    status: str
    reason: str
    message: str
    first_seen_at: datetime
    why: str
    how: str
    more: int = 0


def headline(status: str, reason: str, elsewhere: str = "", cause: str = "", code: str = "") -> str:
    """What the drawer says first. `elsewhere`: another Namespace that has it, if the person may know.

    `cause`: why a pull fails (`pull_failure.Cause`), which tells an untrusted certificate from a silent registry.
    `code`: of the check whose finding the reason is from.
    """
    if status == Status.OK:
        return "In order"
    if reason == "malformed" and code in HEADLINES_OF_CHECKS:
        return HEADLINES_OF_CHECKS[code]
    if reason == "malformed" and status == Status.WARNING:
        return "The Secret looks wrong"  # it could be read, and has a flaw
    text = HEADLINES.get(reason, reason.replace("-", " ").capitalize())
    if elsewhere and reason in ("missing", "elsewhere"):
        return f"Missing here, exists in {elsewhere}"
    if cause in NAMED_CAUSES and reason in ("unreachable", "failing"):
        return f"{text}: {Cause(cause).label}"
    return text


#: Causes whose label says more than the reason of the cell.
NAMED_CAUSES: Final = frozenset(Cause) - {Cause.UNKNOWN, Cause.AUTH_MISSING}


def chain(details: Mapping[str, Any]) -> tuple[ChainStep, ...]:
    """The steps of `Cell.details["chain"]`; () for what an older version stored in another form."""
    steps = details.get("chain")
    if not isinstance(steps, list):
        return ()
    return tuple(
        ChainStep(
            step=STEPS.get(str(step.get("step")), str(step.get("step"))),
            **{part: str(step.get(part) or "") for part in ("state", "title", "note")},
        )
        for step in steps
        if isinstance(step, Mapping)
    )


def explain(findings: Iterable[FindingRow], checks: Mapping[str, Check]) -> tuple[Explained, ...]:
    """`findings` with the words of their checks, the same cause once; worst first, and causes before what Pods say.

    Many Pods say the same of one cause; each Secret that is missing is a cause of its own and is named.
    Those of a check that is no more keep their message only.
    """
    alike: dict[tuple[str, str, str, str], list[FindingRow]] = {}
    for finding in findings:
        cause = "" if finding.object.startswith("Pod/") else finding.object
        alike.setdefault((finding.code, finding.reason, finding.credential, cause), []).append(finding)
    explained = []
    for group in sorted(alike.values(), key=lambda group: (-rank(group[0].status), group[0].code.startswith("PO"))):
        finding = group[0]
        check = checks.get(finding.code)
        why, how = why_and_how(check.ask.__doc__ or "") if check else ("", "")
        explained.append(
            Explained(
                code=finding.code,
                name=check.name if check else "",
                object=finding.object,
                status=finding.status,
                reason=finding.reason,
                message=finding.message,
                first_seen_at=min(one.first_seen_at for one in group),
                why=why,
                how=how,
                more=len(group) - 1,
            )
        )
    return tuple(explained)


def why_and_how(docstring: str) -> tuple[str, str]:
    """What follows "Why it matters:" and "How to fix:", each on one line."""
    _, _, rest = docstring.partition("Why it matters:")
    why, _, how = rest.partition("How to fix:")
    return _sentence(why), _sentence(how)


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line[:1].upper() + line[1:]


def waiting_pods(names: Sequence[str], findings: Iterable[FindingRow]) -> tuple[WaitingPod, ...]:
    """The Pods `names` with what `findings` know of each, and Pods that only findings name."""
    known: dict[str, WaitingPod] = {name: WaitingPod(name=name) for name in names if isinstance(name, str)}
    for finding in findings:
        told = finding.details
        for name in told.get("pods") or ():
            if not isinstance(name, str):
                continue
            pod = known.get(name)
            if pod is None or (told.get("raw") and not pod.raw):
                known[name] = WaitingPod(
                    name=name,
                    cause=str(told.get("label") or ""),
                    advice=str(told.get("advice") or ""),
                    raw=str(told.get("raw") or ""),
                )
    return tuple(known.values())[:MAX_PODS]


def places(findings: Iterable[FindingRow]) -> tuple[tuple[str, str], ...]:
    """(Namespace, Secret) of every pull Secret elsewhere that `findings` know of. Not for everyone to read."""
    pairs = (pair for finding in findings for pair in finding.details.get("elsewhere") or ())
    return tuple(
        dict.fromkeys((str(pair[0]), str(pair[1])) for pair in pairs if isinstance(pair, list) and len(pair) == 2)
    )


def elsewhere_count(findings: Iterable[FindingRow]) -> int:
    return max((int(finding.details.get("elsewhere_count") or 0) for finding in findings), default=0)


def too_many(details: Mapping[str, Any]) -> str:
    """What the cell that stands for those not shown says: how many there are, as `verdict` counted them, and what to
    do."""
    counted = [f"{number:,} {what}" for what in ("cells", "findings") if isinstance(number := details.get(what), int)]
    whole = f"It has {' and '.join(counted)}. " if counted else ""
    return (
        f"{whole}The worst are shown, and how the others are is not known. Delete the Secrets that nothing needs, or "
        "let more than one Namespace have them: the next scan shows what is left."
    )


def look_commands(*, namespace: str, secret: str, pods: Sequence[str], accounts: Sequence[str]) -> tuple[str, ...]:
    """kubectl commands that show the same from a terminal, none of which prints a secret value."""
    at = ["--namespace", namespace]
    commands = []
    if secret:
        commands.append(["kubectl", "describe", "secret", secret, *at])
    if accounts:
        commands.append(
            ["kubectl", "get", "serviceaccount", accounts[0], *at, "--output", "jsonpath={.imagePullSecrets}"]
        )
    if pods:
        commands.append(["kubectl", "describe", "pod", pods[0], *at])
    return tuple(
        shlex.join(command) for command in commands or [["kubectl", "get", "secrets,serviceaccounts,pods", *at]]
    )


def replace_command(*, namespace: str, secret: str, server: str, is_other_type: bool) -> str:
    """The kubectl command that puts another login into a pull Secret that is there, with placeholders for the values.

    The type of a Secret cannot be changed: where it is wrong, the Secret is deleted and made again.
    """
    create = shlex.join(["kubectl", "create", "secret", "docker-registry", secret, "--namespace", namespace])
    login = f"--docker-server={shlex.quote(server)} --docker-username='<user name>'"
    replace = "kubectl replace --force --filename -" if is_other_type else "kubectl replace --filename -"
    return f"{create} {login} --docker-password='<password or token>' --dry-run=client --output yaml | {replace}"


#: A Role grants nothing on these.
CLUSTER_SCOPED: Final = frozenset({"namespaces", "profiles"})


def grant_commands(*, namespace: str, resources: Iterable[str], account: str) -> tuple[str, ...]:
    """kubectl commands that let the ServiceAccount `account` ("namespace:name") read `resources` of one Namespace."""
    names = ",".join(sorted(set(resources) - CLUSTER_SCOPED))
    role = "credboard-read"
    at = ["--namespace", namespace]
    create = ["kubectl", "create"]
    return (
        shlex.join([*create, "role", role, "--verb=list", f"--resource={names}", *at]),
        shlex.join([*create, "rolebinding", role, f"--role={role}", f"--serviceaccount={account}", *at]),
    )


def annotate_command(namespace: str, user: str) -> str:
    """The kubectl command that names `user` as an owner of `namespace`."""
    return shlex.join(["kubectl", "annotate", "namespace", namespace, f"{OWNER_ANNOTATION}={user}"])
