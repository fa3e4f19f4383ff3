from __future__ import annotations

from collections.abc import Iterator

from scanner.blame import Blame, Why
from scanner.check import Context, Problem, Status, check
from scanner.credential import column
from scanner.credentials.docker_registry import registry_of_key
from scanner.snapshot import Secret
from scanner.words import of_kind, shown, verb


@check("PS08", "wrong-type", needs={"secrets"}, wants={"pods", "serviceaccounts"})
def wrong_type(context: Context) -> Iterator[Problem]:
    """A Secret is named as a pull Secret, or looks like one, and the kubelet finds no login in it.

    Why it matters: a Secret counts only if its type, its data key and the form of its content belong together. An
    Opaque Secret, a config.json in one of the old type, or one without logins is no error anywhere; the pull is
    anonymous.
    How to fix: create the Secret again with `kubectl create secret docker-registry`, or from this page; a type cannot
    be changed in place. A config.json with credsStore has its logins on the computer that it comes from.
    """
    blamed: dict[str, list[Blame]] = {}
    for blame in context.blames.because(Why.WRONG_TYPE):
        blamed.setdefault(blame.secret, []).append(blame)
    mounted = {reference.secret for pod in context.snapshot.pods for reference in pod.references}
    for secret in context.snapshot.secrets.values():
        if secret.name in blamed:
            yield from _failing(secret, blamed[secret.name])
        elif secret.name in context.coverage.referring:
            if secret.misfit or not secret.is_pull_secret:
                yield from _named(context, secret)
        elif secret.misfit and secret.name not in mounted:
            yield _unused(secret)


def _why(secret: Secret) -> str:
    if secret.is_pull_secret and secret.misfit:
        return secret.misfit.words
    held = f"; {secret.misfit.words}" if secret.misfit else ""
    return f"it is of the type {shown(secret.type)}, which the kubelet passes over{held}"


def _failing(secret: Secret, blames: list[Blame]) -> Iterator[Problem]:
    columns: dict[str, list[Blame]] = {}
    for blame in blames:
        columns.setdefault(blame.use.credential, []).append(blame)
    for credential, of_column in columns.items():
        told = [blame for blame in of_column if blame.use.failure] or of_column
        pods = list(dict.fromkeys(blame.use.pod.name for blame in told))
        is_named = any(secret.name in blame.use.pull_secrets.named for blame in told)
        is_latent = all(blame.use.pod.has_started for blame in told)
        registry = shown(credential.removeprefix("registry/"))
        what = f"cannot pull from {registry}" if any(blame.use.failure for blame in told) else f"needs {registry}"
        yield Problem(
            object=f"Secret/{secret.name}",
            status=Status.WARNING if is_latent else Status.CRITICAL,
            reason="wrong-type",
            message=f"{of_kind('Pod', pods)} {what}, and Secret {shown(secret.name)} is of no use to "
            f"{verb(pods, 'it', 'them')}: {_why(secret)}{'' if is_named else ', and it is not linked'}.",
            credential=credential,
            details={
                "secret": secret.name,
                "type": shown(secret.type),
                "image": shown(told[0].use.container.image, 500),
                "pods": pods[:50],
                "pod_count": len(pods),
                "service_accounts": sorted({blame.use.pod.service_account for blame in told})[:50],
            },
        )


def _named(context: Context, secret: Secret) -> Iterator[Problem]:
    keys = secret.misfit.keys if secret.misfit else ()
    uses = [use for use in context.coverage.uses_naming(secret.name) if not use.matches]
    columns = tuple(dict.fromkeys(column("registry", registry_of_key(key)) for key in keys))
    who = context.coverage.referring[secret.name]
    accounts = [name.removeprefix("ServiceAccount/") for name in who if name.startswith("ServiceAccount/")]
    for credential in columns or context.columns_behind(uses):
        pods = list(dict.fromkeys(use.pod.name for use in uses if use.credential == credential))
        yield Problem(
            object=f"Secret/{secret.name}",
            status=Status.WARNING,
            reason="wrong-type",
            message=f"Secret {shown(secret.name)} is named as a pull Secret, but {_why(secret)}.",
            credential=credential,
            details={
                "secret": secret.name,
                "type": shown(secret.type),
                "pods": pods[:50],
                "pod_count": len(pods),
                "service_accounts": accounts[:50],
            },
        )


def _unused(secret: Secret) -> Problem:
    return Problem(
        object=f"Secret/{secret.name}",
        status=Status.WARNING,
        reason="wrong-type",
        message=f"Secret {shown(secret.name)} looks like a pull Secret that nothing names yet, but {_why(secret)}.",
        details={"secret": secret.name, "type": shown(secret.type)},
    )
