from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.requirement import holders
from scanner.words import listed, of_kind, shown, verb


@check("RQ02", "required-credential-not-linked", needs={"secrets", "serviceaccounts"}, wants={"namespaces"})
def required_credential_not_linked(context: Context) -> Iterator[Problem]:
    """The credential that the policy requires is here, but a ServiceAccount that should use it does not name it.

    Why it matters: Pods get the imagePullSecrets of their ServiceAccount when they are made. Without the link they pull
    anonymously, although the Secret lies beside them. A ServiceAccount that is not there yet links nothing either.
    How to fix: add the Secret to imagePullSecrets of the ServiceAccount, and make Pods again that run under it.
    """
    for requirement in context.requirements:
        secrets = [secret.name for secret in holders(context.snapshot, requirement)]
        if not secrets:
            continue  # RQ01
        absent = [name for name in requirement.service_accounts if name not in context.snapshot.service_accounts]
        unlinked = [
            account.name
            for name in requirement.service_accounts
            if (account := context.snapshot.service_accounts.get(name))
            and not set(secrets).intersection(account.image_pull_secrets)
        ]
        if not absent and not unlinked:
            continue
        told = []
        if unlinked:
            told.append(f"{of_kind('ServiceAccount', unlinked)} {verb(unlinked, 'does', 'do')} not name it")
        if absent:
            told.append(f"{of_kind('ServiceAccount', absent)} {verb(absent, 'is', 'are')} not here")
        yield Problem(
            object=f"Requirement/{requirement.name}",
            status=Status.CRITICAL,
            reason="unlinked",
            message=f"Secret {listed(secrets)} holds what the policy requires for "
            f"{shown(requirement.registry)}, but {' and '.join(told)} ({shown(requirement.name)}).",
            credential=requirement.credential,
            details={
                "requirement": requirement.name,
                "secret": secrets[0],
                "secrets": secrets[:20],
                "service_accounts": [*unlinked, *absent][:50],
                "to_link": unlinked[:50],
            },
        )
