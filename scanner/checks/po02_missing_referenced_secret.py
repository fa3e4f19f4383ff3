from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, check
from scanner.reference import lacks, problem


@check("PO02", "missing-referenced-secret", needs={"secrets", "pods"})
def missing_referenced_secret(context: Context) -> Iterator[Problem]:
    """A Pod takes an environment variable or a volume from a Secret that is not there.

    Why it matters: the container is not made (CreateContainerConfigError), or the Pod waits for the volume
    (ContainerCreating) and only an Event says why. A Pod that runs already shows nothing until it is made again.
    References with `optional: true` are none of this check's business.
    How to fix: create the Secret in this Namespace with the keys that are named, or correct the manifest.
    """
    for name, lack in lacks(context, absent=True):
        yield problem(name, lack)
