from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from scanner.blame import Why
from scanner.check import Context, Problem, Status, check
from scanner.coverage import ImageUse
from scanner.pull_failure import Cause, PullFailure
from scanner.words import listed, shown, without_secrets

#: Worst first: what a credential can repair, what the registry or the way to it has, everything else.
_CREDENTIAL: Final = (
    Cause.AUTH_EXPIRED,
    Cause.AUTH_DENIED,
    Cause.AUTH_MISSING,
    Cause.PULL_SECRET_MISSING,
    Cause.AUTH_OR_NOT_FOUND,
)
_UNREACHABLE: Final = (
    Cause.DNS,
    Cause.CONN_REFUSED,
    Cause.CONN_TIMEOUT,
    Cause.CONN_BROKEN,
    Cause.PROXY,
    Cause.TLS_UNTRUSTED,
    Cause.TLS_EXPIRED,
    Cause.TLS_NAME,
    Cause.PLAIN_HTTP,
    Cause.REGISTRY_ERROR,
)
_OF_REGISTRY: Final = (*_CREDENTIAL, *_UNREACHABLE, Cause.RATE_LIMIT, Cause.GEO_OR_IP_BLOCK, Cause.UNKNOWN)
_UNAUTHORIZED: Final = re.compile(
    r"\b401\b|unauthori[sz]ed|authentication required|incorrect username or password|invalid.(?:username|credential)",
    re.IGNORECASE,
)


@check("PO01", "image-pull-failing", needs={"pods"})
def image_pull_failing(context: Context) -> Iterator[Problem]:
    """A Pod cannot start because one of its images cannot be pulled.

    Why it matters: the container does not run, and the message in its status rarely says whose fault that is. The cause
    named here is read from that message; where it can have several, the others are named, too.
    That of a debug container, which somebody adds to a Pod that runs, is a warning.
    How to fix: as the cause says. A wrong image name, an unknown platform or an unreachable registry is not repaired by
    a new credential.
    """
    worst: dict[str, ImageUse] = {}
    for use in context.coverage.failing:
        known = worst.get(use.pod.name)
        if known is None or _badness(use) > _badness(known):
            worst[use.pod.name] = use
    for use in worst.values():
        if use.failure:
            yield _problem(context, use, use.failure)


def _badness(use: ImageUse) -> tuple[bool, bool, int]:
    cause = use.failure.cause if use.failure else Cause.UNKNOWN
    rank = _OF_REGISTRY.index(cause) if cause in _OF_REGISTRY else len(_OF_REGISTRY)
    return (not use.is_debugging, not use.awaits_retry, -rank)


def _problem(context: Context, use: ImageUse, failure: PullFailure) -> Problem:
    raw = without_secrets(use.told)
    # A registry that answers an anonymous pull with 403 refuses no credential: there was none.
    told = Cause.AUTH_MISSING if failure.cause is Cause.AUTH_DENIED and use.was_anonymous else failure.cause
    details = {
        "pods": [use.pod.name],
        "pod_count": 1,
        "container": use.container.name,
        "image": shown(use.container.image, 500),
        "controller": use.pod.controller,
        "cause": str(failure.cause),
        "label": told.label,
        "advice": told.advice,
        "alternatives": [str(cause) for cause in failure.alternatives],
        "credentials_used": False if use.was_anonymous else failure.credentials_used,
        "raw": raw,
    }
    debugging = f"Debug container {shown(use.container.name)} of " if use.is_debugging else ""
    subject = f"{debugging}Pod {shown(use.pod.name)} cannot pull {shown(use.container.image)}"
    if use.awaits_retry:
        secrets = list(dict.fromkeys(match.secret for match in use.matches if match.logs_in))
        return Problem(
            object=f"Pod/{use.pod.name}",
            status=Status.WARNING,
            reason="failing",
            message=f"Pod {shown(use.pod.name)} tried to pull its image before Secret {listed(secrets)} was there "
            "as it is now; the kubelet tries again by itself, within 5 minutes.",
            details={**details, "secret": secrets[0], "awaits_retry": True},
        )
    return Problem(
        object=f"Pod/{use.pod.name}",
        status=Status.WARNING if use.is_debugging else Status.CRITICAL,
        reason=_reason(use, failure, raw),
        message=f"{subject}: {_why(context, use, failure)}.",
        credential=use.credential if failure.cause in _OF_REGISTRY else "",
        details=details,
    )


def _why(context: Context, use: ImageUse, failure: PullFailure) -> str:
    """What happened, without a full stop."""
    told = shown(without_secrets(failure.detail, 300), 300).rstrip(".") if failure.detail else failure.cause.label
    if failure.cause is Cause.UNKNOWN and use.pull_secrets.malformed:
        return f"the kubelet cannot read Secret {shown(use.pull_secrets.malformed[0])}, and pulls nothing"
    if use.is_no_official:
        return "Docker Hub has no official image of this name; those are public, so no credential is missing"
    if failure.cause not in _CREDENTIAL or not use.was_anonymous:
        return told
    registry = shown(use.image.registry) if use.image else ""
    if use.login:
        return (
            f"the last pull was anonymous, although Secret {shown(use.login.secret)} has had a login for {registry} "
            "for longer than the kubelet waits between tries; make the Pod again, and if that does not help, look at "
            "the node's container runtime"
        )
    if use.matches:
        match = use.matches[0]
        lack = "password" if match.username else "user name"
        return f"the entry {shown(match.key)} of Secret {shown(match.secret)} has no {lack}, so the pull was anonymous"
    if failure.cause is Cause.AUTH_DENIED:
        return f"{registry} refused the anonymous pull"
    if failure.cause is Cause.AUTH_OR_NOT_FOUND:
        blame = context.blames.of(use)
        lack = ", create a pull Secret if the image is private"
        if blame and blame.why in (Why.UNLINKED, Why.STALE_LINK):
            lack = f"; if the image is private, the Pod has to name Secret {shown(blame.secret)}"
        return f"{told}; correct the name if it is wrong{lack}"
    return told


def _reason(use: ImageUse, failure: PullFailure, raw: str) -> str:
    cause = failure.cause
    if cause in _UNREACHABLE:
        return "unreachable"
    if cause is Cause.AUTH_EXPIRED:
        return "expired"
    if use.was_anonymous and cause in _CREDENTIAL:
        if use.matches:
            return "failing" if use.login else "malformed"
        if cause is Cause.AUTH_OR_NOT_FOUND:
            return "missing" if use.pull_secrets.missing else "failing"
        return "missing"
    if cause in (Cause.AUTH_MISSING, Cause.PULL_SECRET_MISSING):
        return "malformed" if use.pull_secrets.malformed else "missing"
    if cause in (Cause.AUTH_DENIED, Cause.AUTH_OR_NOT_FOUND):
        # "denied" alone may stand beside a 401; what says 403 in words or number is about rights.
        return "rejected" if _UNAUTHORIZED.search(raw) and not re.search(r"\b403\b|forbidden", raw, re.I) else "denied"
    return "failing"
