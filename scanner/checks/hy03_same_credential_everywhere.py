from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.words import shown

#: Steps that numbers are rounded down to, so that nobody reads from them how many Namespaces a cluster has. A team with
#: a Namespace for each of its stages shares a login between up to four of them, and that is nobody else's business.
_STEPS: Final = (50, 10, 5)


@check("HY03", "same-credential-everywhere", needs={"secrets"}, on_request=True)
def same_credential_everywhere(context: Context) -> Iterator[Problem]:
    """The same credential lies in five or more other Namespaces.

    Why it matters: whoever reads Secrets in one of these Namespaces can use it as all the others do, and the registry
    cannot tell which of them it was. When it is renewed, every copy has to be, or Pods fail where one was forgotten.
    This is asked only where the policy file has `enabled: [HY03]`, and is information: it makes no Namespace worse.
    Values are never compared, only fingerprints under a key of this installation; which Namespaces share the
    credential is told to nobody. Certificates without their keys, and keystores, are passed over: most are public. A
    scan of a whole cluster takes longer with it, and holds all Namespaces that have credentials until the last is read.
    How to fix: issue each team a credential of its own, such as a robot account for its project, with no more rights
    than it needs. Until then have one tool write all copies, so that a renewal reaches every one of them.
    """
    for secret in context.snapshot.secrets.values():
        sharing: dict[str, int] = {}
        for one in secret.admitting:
            if one.fingerprint:
                count = context.elsewhere.sharing(one.fingerprint, besides=context.snapshot.name)
                sharing[one.credential] = max(count, sharing.get(one.credential, 0))
        for credential, count in sharing.items():
            at_least = next((step for step in _STEPS if count >= step), 0)
            if at_least:
                family, _, registry = credential.partition("/")
                what = f"The login for {shown(registry)}" if family == "registry" else "A credential"
                yield Problem(
                    object=f"Secret/{secret.name}",
                    status=Status.OK,
                    reason="shared",
                    message=f"{what} in the Secret {shown(secret.name)} is the same in {at_least} or more other "
                    "Namespaces: whoever reads one has all.",
                    credential=credential,
                    details={"secret": secret.name, "count": at_least},
                )
