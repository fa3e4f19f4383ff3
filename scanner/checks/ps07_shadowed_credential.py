from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner.check import Context, Problem, Status, check
from scanner.coverage import Covering
from scanner.trying import Attempt, Situation, situations
from scanner.words import of_kind, shown


@dataclass(slots=True)
class _Shadow:
    """`first` is tried instead of `second`, or before it."""

    first: Attempt
    second: Covering
    is_hidden: bool
    failing: dict[str, None] = field(default_factory=dict)
    pods: dict[str, None] = field(default_factory=dict)


@check("PS07", "shadowed-credential", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def shadowed_credential(context: Context) -> Iterator[Problem]:
    """A credential hides another one, or a dead one is tried before the one that works.

    Why it matters: the kubelet tries every entry that matches, longer keys first, then in the order of the Secrets,
    and goes on after any error, so a dead entry first costs a failed login at every pull, which can lock an account.
    The login of Docker Hub under index.docker.io is tried only when no key of any Secret matches, so one for docker.io
    hides it, and the newer login of the two may be the one that is never tried.
    How to fix: remove the entry that is dead or not meant, or put the working login under the same key into one Secret.
    """
    found: dict[tuple[str, str], _Shadow] = {}
    for situation in situations(context):
        shadow = _shadow(situation)
        if shadow is None:
            continue
        # Where all that matched was tried and none works, nothing hides behind another.
        uses = [use for use in situation.uses if shadow.is_hidden or not use.is_refused]
        if situation.uses and not uses:
            continue
        known = found.setdefault((shadow.first.covering.secret, situation.column), shadow)
        for use in uses:
            known.pods[use.pod.name] = None
            if known.is_hidden and use.is_refused:
                known.failing[use.pod.name] = None
    for (secret, credential), shadow in found.items():
        yield _problem(secret, credential, shadow)


def _shadow(situation: Situation) -> _Shadow | None:
    if situation.hidden:
        return _Shadow(first=situation.attempts[0], second=situation.hidden[0], is_hidden=True)
    alive = situation.alive
    dead = next((one for one in situation.attempts if one.covering.logs_in), None)
    if alive is None or dead is None or dead.covering == alive.covering or dead.is_alive:
        return None
    return _Shadow(first=dead, second=alive.covering, is_hidden=False)


def _problem(secret: str, credential: str, shadow: _Shadow) -> Problem:
    first, second = shadow.first, shadow.second
    key, its_key = shown(first.covering.key), shown(second.key)
    pods = list(shadow.failing or shadow.pods)
    if shadow.is_hidden:
        message = f"The key {key} of Secret {shown(secret)} hides the login under {its_key} in Secret "
        message += f"{shown(second.secret)}, which is tried only when no key matches"
        if shadow.failing:
            registry = shown(credential.removeprefix("registry/"))
            message = f"{of_kind('Pod', pods)} cannot pull from {registry}. {message}"
    else:
        why = "has expired" if first.is_expired else "is refused"
        message = f"The credential for {key} in Secret {shown(secret)} {why} and is tried before the one for {its_key} "
        message += f"in Secret {shown(second.secret)}, so every pull begins with a failed login"
    return Problem(
        object=f"Secret/{secret}",
        status=Status.CRITICAL if shadow.failing else Status.WARNING,
        reason="shadowed",
        message=f"{message}.",
        credential=credential,
        expires_at=first.expires_at if first.is_expired else None,
        details={
            "secret": secret,
            "key": shown(first.covering.key, 500),
            "shadowed_secret": second.secret,
            "shadowed_key": shown(second.key, 500),
            "pods": pods[:50],
            "pod_count": len(pods),
        },
    )
