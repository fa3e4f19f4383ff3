from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.requirement import holders
from scanner.words import listed, shown


@check("RQ01", "missing-required-credential", needs={"secrets"}, wants={"namespaces"})
def missing_required_credential(context: Context) -> Iterator[Problem]:
    """A Namespace does not have a credential that the policy requires of it.

    Why it matters: nothing fails until the first Pod needs it, often for somebody who just got the Namespace. A new
    Namespace shows at its first scan. A pull Secret that cannot be read, or whose entry has no user name, does not
    count, nor does one of another name where the policy asks for a name.
    How to fix: create the Secret in this Namespace, or have the tool do so that keeps copies in step; if this
    Namespace needs none, correct `namespaces` of the requirement in the policy file.
    """
    for requirement in context.requirements:
        if any(True for _ in holders(context.snapshot, requirement)):
            continue
        what = shown(requirement.registry or requirement.credential)
        named = f" in a Secret called {shown(requirement.secret)}" if requirement.secret else ""
        accounts = requirement.service_accounts
        linked = f", linked by ServiceAccount {listed(accounts)}" if accounts else ""
        yield Problem(
            object=f"Requirement/{requirement.name}",
            status=Status.CRITICAL,
            reason="missing",
            message=f"The policy requires a credential for {what}{named}{linked}, and there is none here "
            f"({shown(requirement.name)}).",
            credential=requirement.credential,
            details={
                "requirement": requirement.name,
                "secret": requirement.secret,
                "service_accounts": list(accounts)[:50],
            },
        )
