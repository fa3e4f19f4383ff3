from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, check
from scanner.reference import lacks, problem


@check("PO03", "missing-secret-key", needs={"secrets", "pods"})
def missing_secret_key(context: Context) -> Iterator[Problem]:
    """A Pod takes an environment variable or a file from a key that its Secret does not have.

    Why it matters: the Secret is there, so everything looks right, but the container is not made
    (CreateContainerConfigError), or the Pod waits for the volume and only an Event says "references non-existent
    secret key". A Pod that runs already shows nothing until it is made again. References with `optional: true` are
    passed over.
    How to fix: add the key to the Secret, or correct its name in secretKeyRef or in the volume's items. Keys are
    compared to the letter.
    """
    for name, lack in lacks(context, absent=False):
        yield problem(name, lack)
