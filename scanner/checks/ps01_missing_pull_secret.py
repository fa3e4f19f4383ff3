from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from scanner.blame import Why
from scanner.check import Context, Problem, Status, check
from scanner.columns import SECRETS
from scanner.coverage import ImageUse
from scanner.image import DOCKER_HUB, OFFICIAL
from scanner.pull_failure import Cause
from scanner.words import of_kind, shown, verb

#: A Pod that no node has taken for so long is not just being started.
_PATIENCE: Final = timedelta(minutes=2)
#: Registries with nothing but public images, like Docker Hub's own library.
_PUBLIC: Final = frozenset({"lscr.io", "mcr.microsoft.com", "public.ecr.aws", "registry.k8s.io"})


@check("PS01", "missing-pull-secret", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def missing_pull_secret(context: Context) -> Iterator[Problem]:
    """A Pod or a ServiceAccount names a pull Secret that its Namespace does not have.

    Why it matters: the kubelet skips a missing Secret without an error and pulls anonymously, so the Pod fails with a
    message about the registry. A Pod that runs already shows nothing, and would not start on a node without its image.
    It is critical where a pull fails that the Secret may end, where the registry is one that requires a credential, and
    where nothing at all tells that the name is left over. It is a warning where something does: the images run or are
    being fetched, are public by their name, or are covered by another Secret, which needs no more than a link; or Pods
    that named it have run to their end.
    How to fix: create the Secret in this Namespace (a Pod can only use Secrets of its own), or remove the name from
    imagePullSecrets of the Pod or ServiceAccount and make the Pods again.
    """
    # A Namespace that is being deleted loses its Secrets before its ServiceAccounts, and makes no Pods.
    if context.snapshot.phase == "Terminating":
        return
    for name, who in context.coverage.referring.items():
        if name not in context.snapshot.secrets:
            yield from _missing(context, name, who)


def _missing(context: Context, name: str, who: tuple[str, ...]) -> Iterator[Problem]:
    uses = [use for use in context.coverage.uses_naming(name) if not use.is_debugging]
    pods = _names("Pod/", who)
    accounts = _names("ServiceAccount/", who)
    # With another entry for each of its images a Pod does not lack this Secret, whatever else it lacks.
    uncovered = [use for use in uses if not use.matches]
    subject = of_kind("Pod", pods) if pods else of_kind("ServiceAccount", accounts)
    message = f"{subject} {verb(pods or accounts, 'names', 'name')} the pull Secret {shown(name)}, which is not here."
    for credential in context.columns_behind(uncovered) if uncovered or not uses else (SECRETS,):
        concerned = [use for use in uncovered if use.credential == credential] or uncovered
        affected = _names_of(use for use in concerned if use.credential == credential) or pods
        if uses:
            is_critical = any(_is_needed(context, use) for use in concerned)
        else:
            is_critical = not _has_done_without(context, name)
        yield Problem(
            object=f"Secret/{name}",
            status=Status.CRITICAL if is_critical else Status.WARNING,
            reason="missing" if is_critical else "latent",
            message=message,
            credential=credential,
            details={
                "secret": name,
                "pods": affected[:50],
                "pod_count": len(affected),
                "service_accounts": accounts[:50],
                "pod_accounts": sorted({use.pod.service_account for use in uses if use.pod.name in affected})[:50],
            },
        )


def _is_needed(context: Context, use: ImageUse) -> bool:
    """Whether the image of `use`, which nothing covers, is not to be had without the missing Secret, or may not be."""
    if use.failure:
        if use.wants_credential:
            blame = context.blames.of(use)
            return blame is None or blame.why not in (Why.UNLINKED, Why.STALE_LINK)
        # Any other cause has to be ended first, and then it shows.
        return use.failure.cause is Cause.UNKNOWN and not use.pull_secrets.malformed
    registry = use.image.registry if use.image else ""
    if use.container.started or not registry:
        return False
    if registry in context.required_registries:
        return not use.pod.has_started
    # A registry refuses within seconds. What a node has in hand and does not complain of is no sign of a missing login.
    if use.container.waiting_reason or _is_public(use):
        return False
    if use.pod.created_at is not None and context.now - use.pod.created_at < _PATIENCE:
        return False
    return not any(
        other.container.started and not other.matches and other.credential == use.credential
        for other in context.coverage.uses
    )


def _is_public(use: ImageUse) -> bool:
    image = use.image
    return image is not None and (
        image.registry in _PUBLIC or (image.registry == DOCKER_HUB and image.repository.startswith(OFFICIAL))
    )


def _has_done_without(context: Context, name: str) -> bool:
    """A Pod that named the Secret started all of its containers, and is finished now: that of a CronJob, say."""
    return any(pod.is_finished and pod.has_started and name in pod.image_pull_secrets for pod in context.snapshot.pods)


def _names(kind: str, who: tuple[str, ...]) -> list[str]:
    return [one.removeprefix(kind) for one in who if one.startswith(kind)]


def _names_of(uses: Iterable[ImageUse]) -> list[str]:
    return list(dict.fromkeys(use.pod.name for use in uses))
