from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Blame, Why
from scanner.check import Context, Problem, Status, check
from scanner.words import of_kind, shown, verb


@check("PS06", "wrong-host", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def wrong_host(context: Context) -> Iterator[Problem]:
    """A pull Secret of a Pod, or of its ServiceAccount, has a key that only just misses the registry of an image.

    Why it matters: the kubelet compares keys to the letter: no port is a default, a * stands for one part of a host
    name, /v1 is cut off only with a slash after it. A key that misses is passed over in silence, and the pull is
    anonymous, with a Secret in place that looks right.
    How to fix: create the Secret again with the key that is named here, if its login is for that registry, and make the
    Pods again. Where a Secret that is missing or not linked explains the failure, only that is told.
    """
    grouped: dict[tuple[str, str], list[Blame]] = {}
    for blame in context.blames.because(Why.WRONG_HOST):
        grouped.setdefault((blame.secret, blame.use.credential), []).append(blame)
    for (secret, credential), blames in grouped.items():
        yield _problem(secret, credential, blames)


def _problem(secret: str, credential: str, blames: list[Blame]) -> Problem:
    failing = [blame for blame in blames if blame.use.wants_credential]
    told = failing or blames
    miss = told[0].near_miss
    if miss is None:
        raise ValueError("a wrong host is told by the key that misses")
    pods = list(dict.fromkeys(blame.use.pod.name for blame in told))
    registry = shown(credential.removeprefix("registry/"))
    is_latent = not failing and all(blame.use.pod.has_started for blame in blames)
    uses = f"{verb(pods, 'uses', 'use')} {registry} without a credential"
    return Problem(
        object=f"Secret/{secret}",
        status=Status.WARNING if is_latent else Status.CRITICAL,
        reason="wrong-host",
        message=f"{of_kind('Pod', pods)} {f'cannot pull from {registry}' if failing else uses}: the key "
        f"{shown(miss.key) or 'without a name'} of Secret {shown(secret)} misses it, {miss.words}. "
        f"The key should read {shown(miss.should_be)}.",
        credential=credential,
        details={
            "secret": secret,
            "key": shown(miss.key, 500),
            "should_be": shown(miss.should_be, 500),
            "mismatch": miss.words,
            "image": shown(told[0].use.container.image, 500),
            "pods": pods[:50],
            "pod_count": len(pods),
            "service_accounts": sorted({blame.use.pod.service_account for blame in told})[:50],
        },
    )
