from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Why
from scanner.check import Context, Problem, Status, check
from scanner.snapshot import Secret
from scanner.words import shown


@check("PS02", "malformed-pull-secret", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def malformed_pull_secret(context: Context) -> Iterator[Problem]:
    """A pull Secret holds what the API server accepts and the kubelet cannot read.

    Why it matters: the API server looks only whether the value is a JSON object. One entry that cannot be decoded fails
    every image pull of each Pod that names the Secret, also of images it is not for. A key that is no host name is left
    out without a word.
    How to fix: create the Secret again with `kubectl create secret docker-registry`, or from this page.
    """
    referring = context.coverage.referring
    for secret in context.snapshot.secrets.values():
        if secret.malformed:
            yield from _problems(
                context,
                secret,
                Status.CRITICAL if secret.name in referring else Status.WARNING,
                f"The kubelet cannot read the pull Secret {shown(secret.name)}: {secret.malformed}.",
            )
        elif secret.entries and all(entry.key is None for entry in secret.entries):
            # With a key that a person can put right it is PS06 that says how.
            if context.blames.because(Why.WRONG_HOST, secret=secret.name):
                continue
            fails = bool(context.blames.because(Why.MALFORMED, secret=secret.name))
            yield from _problems(
                context,
                secret,
                Status.CRITICAL if fails else Status.WARNING,
                f"The pull Secret {shown(secret.name)} gives the kubelet nothing: "
                "none of its registries is a valid host name.",
            )


def _problems(context: Context, secret: Secret, status: Status, message: str) -> Iterator[Problem]:
    # A Secret that cannot be decoded fails the images that other entries cover, too.
    uses = [use for use in context.coverage.uses_naming(secret.name) if secret.malformed or not use.matches]
    who = context.coverage.referring.get(secret.name, ())
    accounts = [name.removeprefix("ServiceAccount/") for name in who if name.startswith("ServiceAccount/")]
    for credential in context.columns_behind(uses):
        pods = list(dict.fromkeys(use.pod.name for use in uses if use.credential == credential))
        yield Problem(
            object=f"Secret/{secret.name}",
            status=status,
            reason="malformed",
            message=message,
            credential=credential,
            details={
                "secret": secret.name,
                "pods": pods[:50],
                "pod_count": len(pods),
                "service_accounts": accounts[:50],
            },
        )
