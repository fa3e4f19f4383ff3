from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Blame, Why
from scanner.check import Context, Problem, Status, check
from scanner.words import of_kind, shown, verb


@check("PS09", "stale-pod-links", needs={"secrets", "pods", "serviceaccounts"})
def stale_pod_links(context: Context) -> Iterator[Problem]:
    """A Pod was made before its ServiceAccount linked the pull Secret that it fails for.

    Why it matters: a ServiceAccount's pull Secrets are copied into a Pod when the Pod is made, and only if it names
    none itself. A link that comes later reaches no Pod that exists, so this one never pulls, however often it tries.
    How to fix: delete the Pod, so that its controller makes it again with what the ServiceAccount links now. If it
    comes back without it, its manifest names pull Secrets of its own; add this one there.
    """
    grouped: dict[tuple[str, str], list[Blame]] = {}
    for blame in context.blames.because(Why.STALE_LINK):
        grouped.setdefault((blame.secret, blame.use.credential), []).append(blame)
    for (secret, credential), blames in grouped.items():
        yield _problem(secret, credential, blames)


def _problem(secret: str, credential: str, blames: list[Blame]) -> Problem:
    uses = [blame.use for blame in blames]
    pods = list(dict.fromkeys(use.pod.name for use in uses))
    accounts = list(dict.fromkeys(use.pod.service_account for use in uses))
    alone = list(dict.fromkeys(use.pod.name for use in uses if not use.pod.controller))
    registry = shown(credential.removeprefix("registry/"))
    message = (
        f"{of_kind('ServiceAccount', accounts)} {verb(accounts, 'links', 'link')} Secret {shown(secret)} "
        f"for {registry} now, but {of_kind('Pod', pods)} {verb(pods, 'was', 'were')} made before; "
        f"delete {verb(pods, 'the Pod so that it starts', 'the Pods so that they start')} again with it"
    )
    if alone:
        message += f" (nothing makes {of_kind('Pod', alone)} again by itself)"
    return Problem(
        object=f"Secret/{secret}",
        status=Status.CRITICAL,
        reason="unlinked",
        message=f"{message}.",
        credential=credential,
        details={
            "secret": secret,
            "image": shown(uses[0].container.image, 500),
            "pods": pods[:50],
            "pod_count": len(pods),
            "service_accounts": accounts[:50],
            "is_linked_now": True,
        },
    )
