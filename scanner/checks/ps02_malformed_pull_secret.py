from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.docker_config import DATA_KEYS
from scanner.snapshot import Secret
from scanner.words import shown


@check("PS02", "malformed-pull-secret", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def malformed_pull_secret(context: Context) -> Iterator[Problem]:
    """A pull Secret holds what the API server accepts and the kubelet cannot read or use.

    Why it matters: the API server looks only whether the value is a JSON object. One entry that cannot be decoded fails
    every image pull of each Pod that names the Secret, also of images it is not for. A Secret without a usable entry,
    or of another type, is passed over without a word.
    How to fix: create the Secret again with `kubectl create secret docker-registry`, or from this page. Its type cannot
    be changed in place.
    """
    referring = context.coverage.referring
    for secret in context.snapshot.secrets.values():
        if secret.malformed:
            yield from _problems(
                context,
                secret,
                Status.CRITICAL if secret.name in referring else Status.WARNING,
                "malformed",
                f"The kubelet cannot read the pull Secret {shown(secret.name)}: {secret.malformed}.",
            )
        elif secret.is_pull_secret and (why := _useless(secret)):
            fails = any(use.wants_credential for use in context.coverage.uses_naming(secret.name))
            yield from _problems(
                context,
                secret,
                Status.CRITICAL if fails else Status.WARNING,
                "malformed",
                f"The pull Secret {shown(secret.name)} gives the kubelet nothing: {why}.",
            )
        elif secret.name in referring and not secret.is_pull_secret:
            yield from _problems(
                context,
                secret,
                Status.WARNING,
                "wrong-type",
                f"{shown(secret.name)} is named as a pull Secret, but it is of the type {shown(secret.type)}, "
                "which the kubelet passes over.",
            )


def _useless(secret: Secret) -> str:
    """Why a Secret that can be read covers no image at all; "" when it may cover some."""
    if not secret.entries:
        return f'no registry is under "auths" in {DATA_KEYS[secret.type]}'
    if all(entry.key is None for entry in secret.entries):
        return "none of its registries is a valid host name"
    if secret.type == "kubernetes.io/dockercfg" and {entry.key for entry in secret.entries} == {"auths"}:
        return 'it holds "auths", which the type kubernetes.io/dockercfg does not have'
    return ""


def _problems(context: Context, secret: Secret, status: Status, reason: str, message: str) -> Iterator[Problem]:
    # A Secret that cannot be decoded fails the images that other entries cover, too.
    uses = [use for use in context.coverage.uses_naming(secret.name) if secret.malformed or not use.matches]
    who = context.coverage.referring.get(secret.name, ())
    accounts = [name.removeprefix("ServiceAccount/") for name in who if name.startswith("ServiceAccount/")]
    for credential in context.columns_behind(secret.name, uses):
        pods = list(dict.fromkeys(use.pod.name for use in uses if use.credential == credential))
        yield Problem(
            object=f"Secret/{secret.name}",
            status=status,
            reason=reason,
            message=message,
            credential=credential,
            details={
                "secret": secret.name,
                "pods": pods[:50],
                "pod_count": len(pods),
                "service_accounts": accounts[:50],
            },
        )
