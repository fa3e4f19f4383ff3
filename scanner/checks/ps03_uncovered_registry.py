from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Why
from scanner.check import Context, Problem, Status, check
from scanner.coverage import ImageUse
from scanner.words import of_kind, shown, verb


@check("PS03", "uncovered-registry", needs={"secrets", "pods"})
def uncovered_registry(context: Context) -> Iterator[Problem]:
    """No pull Secret of a Pod has a key for an image that cannot be pulled without one.

    Why it matters: without a key that matches the image's registry, port and path, the kubelet pulls anonymously. Keys
    are compared to the letter: ports have no default, and an entry for docker.io hides the one for index.docker.io.
    Where the registry tells no more than that the image is private or not there, it is a warning: see PO01.
    How to fix: create a pull Secret for this registry in this Namespace, name it in imagePullSecrets of the Pods'
    ServiceAccount, and make the Pods again.
    """
    grouped: dict[str, list[ImageUse]] = {}
    # A Secret that is missing, broken, not linked or just misses is its own problem: see `scanner.blame`.
    for blame in context.blames.because(Why.UNCOVERED):
        grouped.setdefault(blame.use.credential, []).append(blame.use)
    for credential, uses in grouped.items():
        is_required = any(use.image and use.image.registry in context.required_registries for use in uses)
        is_open = credential in context.coverage.open_questions and not is_required
        yield _problem(credential, uses, is_open=is_open)


def _problem(credential: str, uses: list[ImageUse], *, is_open: bool) -> Problem:
    failing = [use for use in uses if use.wants_credential]
    registry = shown(credential.removeprefix("registry/"))
    pods = list(dict.fromkeys(use.pod.name for use in failing or uses))
    named = list(dict.fromkeys(name for use in uses for name in use.pull_secrets.named))
    how = f"and {verb(pods, 'its', 'their')} pull Secrets have no key that matches"
    if not named:
        how = f"and {verb(pods, 'it names', 'they name')} no pull Secret"
    who = of_kind("Pod", pods)
    if failing and is_open:
        message = (
            f"{who} may need a credential for {registry}, {how}; the registry does not say whether the name is right."
        )
    elif failing:
        message = f"{who} cannot pull without a credential from {registry}, {how}."
    else:
        without = "without the credential that is required"
        message = f"{who} {verb(pods, 'uses', 'use')} it {without}: {registry}, {how}."
    is_latent = not failing and all(use.pod.has_started for use in uses)
    first = (failing or uses)[0]
    return Problem(
        object=f"Registry/{registry}",
        status=Status.WARNING if is_latent or is_open else Status.CRITICAL,
        reason="latent" if is_latent else "missing",
        message=message,
        credential=credential,
        details={
            "image": shown(first.container.image, 500),
            "pods": pods[:50],
            "pod_count": len(pods),
            "pod_accounts": sorted({use.pod.service_account for use in failing or uses})[:50],
            "secrets": named[:20],
            "cause": str(first.failure.cause) if first.failure else "",
        },
    )
