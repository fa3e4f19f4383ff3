from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.latent import Latent, is_of_cloud, latent
from scanner.words import of_kind, shown, verb

#: The surest evidence first.
_ORDER: Final = ("refused", "expired", "elsewhere")


@check("PO05", "latent-pull-failure", needs={"secrets", "pods"})
def latent_pull_failure(context: Context) -> Iterator[Problem]:
    """A Pod runs on an image that this Namespace could not pull again.

    Why it matters: the image is on the node by luck, pulled there by somebody else or with a credential that is gone.
    The Pod fails when it is moved to another node or the image is cleaned up, mostly at night. It is said only where
    something tells that the registry wants a login: a refused pull here, an expired credential, or pull Secrets for it
    in other Namespaces. Nodes that log in by themselves are not seen from here.
    How to fix: create a pull Secret for the registry here and name it in imagePullSecrets of the Pods' ServiceAccount.
    """
    grouped: dict[str, list[Latent]] = {}
    known: dict[tuple[tuple[str, ...], str, bool], Latent | None] = {}
    has_expired = any(one.expires_at and context.now >= one.expires_at for _, one in context.ending)
    for use in context.coverage.uses:
        # What a login covers that has not expired can be pulled again.
        if use.container.started and use.image and not use.failure and (has_expired or not use.login):
            # Replicas are alike in all that is asked; static Pods are told apart by what made them.
            key = (use.pull_secrets.named, use.image.name, use.pod.is_static)
            if key not in known:
                known[key] = latent(context, use)
            if one := known[key]:
                grouped.setdefault(use.credential, []).append(replace(one, use=use))
    for credential, found in grouped.items():
        yield _problem(credential, found)


def _problem(credential: str, found: list[Latent]) -> Problem:
    found.sort(key=lambda one: _ORDER.index(one.why))
    first = found[0]
    pods = list(dict.fromkeys(one.use.pod.name for one in found))
    registry = shown(credential.removeprefix("registry/"))
    again = "again"
    if first.why == "expired":
        because = "the credential for it has expired"
        if first.use.image and is_of_cloud(first.use.image):
            again = "again, unless the nodes log in by themselves"
    elif first.why == "refused":
        because = "nothing covers it, and pulls without a login are refused here"
    else:
        has = "another Namespace has" if first.places == 1 else f"{first.places} other Namespaces have"
        because = f"nothing covers it here, while {has} a pull Secret for it"
    return Problem(
        object=f"Registry/{registry}",
        status=Status.WARNING,
        reason="latent",
        message=f"{of_kind('Pod', pods)} {verb(pods, 'runs', 'run')} on images of {registry} that could not be pulled "
        f"{again}: {because}.",
        credential=credential,
        details={
            "image": shown(first.use.container.image, 500),
            "evidence": first.why,
            "pods": pods[:50],
            "pod_count": len(pods),
            "pod_accounts": sorted({one.use.pod.service_account for one in found})[:50],
        },
    )
