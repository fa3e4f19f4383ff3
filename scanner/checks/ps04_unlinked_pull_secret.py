from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Why
from scanner.check import Context, Problem, Status, check
from scanner.coverage import ImageUse
from scanner.image import DOCKER_HUB
from scanner.pull_failure import Cause
from scanner.words import of_kind, shown, verb


@check("PS04", "unlinked-pull-secret", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def unlinked_pull_secret(context: Context) -> Iterator[Problem]:
    """A pull Secret of this Namespace covers an image whose pull fails, and the Pod does not name it.

    Why it matters: the kubelet uses only what stands in a Pod's imagePullSecrets. A ServiceAccount's are copied into a
    Pod when it is made, and only if the Pod names none itself. A link that came after the Pod is told by PS09. Where
    Docker Hub tells no more than that the image is private or not there, it is a warning: see PO01.
    How to fix: add the Secret to imagePullSecrets of the Pods' ServiceAccount, or of the Pods where they name others,
    and make the Pods again.
    """
    grouped: dict[tuple[str, str], list[ImageUse]] = {}
    covering: dict[tuple[str, str], list[str]] = {}
    for blame in context.blames.because(Why.UNLINKED):
        key = (blame.secret, blame.use.credential)
        grouped.setdefault(key, []).append(blame.use)
        covering.setdefault(key, list(dict.fromkeys(one.secret for one in blame.covering)))
    for (secret, credential), uses in grouped.items():
        yield _problem(context, secret, credential, uses, covering[secret, credential])


def _problem(context: Context, secret: str, credential: str, uses: list[ImageUse], covering: list[str]) -> Problem:
    pods = list(dict.fromkeys(use.pod.name for use in uses))
    accounts = list(dict.fromkeys(use.pod.service_account for use in uses))
    linking = {f"ServiceAccount/{name}" for name in accounts}.intersection(context.coverage.referring.get(secret, ()))
    helped = [use for use in uses if _takes_from_its_account(context, use)]
    alone = list(dict.fromkeys(use.pod.name for use in uses if use not in helped))
    registry = shown(credential.removeprefix("registry/"))
    # Most images of Docker Hub are public, so a login that lies here says little of one that may as well be misspelt.
    is_open = all(
        use.image and use.image.registry == DOCKER_HUB and use.failure and use.failure.cause is Cause.AUTH_OR_NOT_FOUND
        for use in uses
    )
    message = (
        f"{'If the image is private: the' if is_open else 'The'} Secret {shown(secret)} covers {registry}, but "
        f"{of_kind('Pod', pods)} {verb(pods, 'does', 'do')} not name it and cannot pull"
    )
    if all(use.pull_secrets.named for use in uses) and not helped:
        message += "; a Pod that names pull Secrets itself does not get those of its ServiceAccount"
    return Problem(
        object=f"Secret/{secret}",
        status=Status.WARNING if is_open else Status.CRITICAL,
        reason="unlinked",
        message=f"{message}.",
        credential=credential,
        details={
            "secret": secret,
            "secrets": covering[:20],
            "image": shown(uses[0].container.image, 500),
            "pods": pods[:50],
            "pod_count": len(pods),
            "service_accounts": accounts[:50],
            "is_linked_now": bool(linking),
            # A link on one of these reaches its Pods that are made from then on, and never those of `own_lists`.
            "to_link": list(dict.fromkeys(use.pod.service_account for use in helped))[:50],
            "own_lists": alone[:50],
        },
    )


def _takes_from_its_account(context: Context, use: ImageUse) -> bool:
    """True when a Pod made again gets the pull Secrets of its ServiceAccount: it names none, or only those that
    admission copied from there."""
    if use.pod.is_static:
        return False
    account = context.snapshot.service_accounts.get(use.pod.service_account)
    return set(use.pull_secrets.named) <= set(account.image_pull_secrets if account else ())
