from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.columns import SECRETS
from scanner.coverage import ImageUse
from scanner.words import of_kind, shown, verb


@check("PS01", "missing-pull-secret", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def missing_pull_secret(context: Context) -> Iterator[Problem]:
    """A Pod or a ServiceAccount names a pull Secret that its Namespace does not have.

    Why it matters: the kubelet skips a missing Secret without an error and pulls anonymously, so the Pod fails with a
    message about the registry. A Pod that runs already shows nothing, and would not start on a node without its image.
    How to fix: create the Secret in this Namespace (a Pod can only use Secrets of its own), or remove the name from
    imagePullSecrets of the Pod or ServiceAccount and make the Pods again.
    """
    for name, who in context.coverage.referring.items():
        if name not in context.snapshot.secrets:
            yield from _missing(context, name, who)


def _missing(context: Context, name: str, who: tuple[str, ...]) -> Iterator[Problem]:
    uses = context.coverage.uses_naming(name)
    pods = _names("Pod/", who)
    accounts = _names("ServiceAccount/", who)
    uncovered = [use for use in uses if not use.matches]
    # With another entry for each of its images a Pod does not lack this Secret, whatever else it lacks.
    is_harmless = bool(uses) and (not uncovered or all(use.pod.has_started for use in uses))
    subject = of_kind("Pod", pods) if pods else of_kind("ServiceAccount", accounts)
    message = f"{subject} {verb(pods or accounts, 'names', 'name')} the pull Secret {shown(name)}, which is not here."
    for credential in context.columns_behind(name, uncovered) if uncovered or not uses else (SECRETS,):
        affected = _names_of(use for use in uncovered if use.credential == credential) or pods
        yield Problem(
            object=f"Secret/{name}",
            status=Status.WARNING if is_harmless else Status.CRITICAL,
            reason="latent" if is_harmless else "missing",
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


def _names(kind: str, who: tuple[str, ...]) -> list[str]:
    return [one.removeprefix(kind) for one in who if one.startswith(kind)]


def _names_of(uses: Iterator[ImageUse]) -> list[str]:
    return list(dict.fromkeys(use.pod.name for use in uses))
