from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from scanner.check import Context, Problem, Status, check
from scanner.words import shown

#: A Secret is often made before what uses it.
_SETTLED: Final = timedelta(days=7)
#: What is used without a Pod or ServiceAccount that names it: by Ingresses and Gateways, by clients with the token, by
#: the cluster itself and by Helm.
_USED_OTHERWISE: Final = (
    "kubernetes.io/tls",
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "helm.sh/",
)


@check("HY02", "unused-secret", needs={"secrets", "pods", "serviceaccounts"}, on_request=True)
def unused_secret(context: Context) -> Iterator[Problem]:
    """No Pod and no ServiceAccount names a Secret that has been here for a week.

    Why it matters: a credential that nobody uses still works for whoever reads it, and nobody notices when it is lost.
    This is asked only where the policy file has `enabled: [HY02]`: operators, custom resources and CronJobs that do not
    run at the moment use Secrets in ways that a scan does not see, so that this is information and makes no Namespace
    worse; under `statuses` the policy file can make it a warning.
    How to fix: make sure that nothing needs it, revoke the credential where it was issued, and delete the Secret.
    """
    used = set(context.coverage.referring)
    for pod in context.snapshot.pods:
        used.update(reference.secret for reference in pod.references)
    for secret in context.snapshot.secrets.values():
        is_settled = secret.created_at is not None and context.now - secret.created_at >= _SETTLED
        if is_settled and secret.name not in used and not secret.type.startswith(_USED_OTHERWISE):
            yield Problem(
                object=f"Secret/{secret.name}",
                status=Status.OK,
                reason="unused",
                message=f"No Pod and no ServiceAccount here names the Secret {shown(secret.name)}.",
                details={"secret": secret.name},
            )
