from __future__ import annotations

from collections.abc import Iterator

from scanner.check import Context, Problem, Status, check
from scanner.snapshot import LiteralCredential
from scanner.words import listed, of_kind, shown, verb


@check("HY01", "literal-credential", needs={"pods"})
def literal_credential(context: Context) -> Iterator[Problem]:
    """A password, token or key is written out in a Pod instead of in a Secret.

    Why it matters: whoever may read Pods may read it, and it stands in manifests, in the history of a repository and in
    logs. When it is changed, every place has to be found again. What is looked at: values of environment variables,
    commands, arguments and annotations, by the forms of known tokens, passwords in URLs, private keys, and names such
    as DB_PASSWORD or --token. References such as $(VAR), file paths and stand-ins such as "changeme" are passed over.
    How to fix: put the value into a Secret, refer to it with secretKeyRef or mount it as a file, and then change it
    where it was issued: it has been read.
    """
    pods: dict[str, list[str]] = {}
    places: dict[str, dict[LiteralCredential, None]] = {}
    for pod in context.snapshot.pods:
        if pod.literals and not pod.is_finished:
            owner = pod.controller or f"Pod/{pod.name}"  # what would make replicas again tells of all of them
            pods.setdefault(owner, []).append(pod.name)
            places.setdefault(owner, {}).update(dict.fromkeys(pod.literals))
    for owner, names in pods.items():
        yield _problem(owner, names, list(places[owner]))


def _problem(object: str, pods: list[str], places: list[LiteralCredential]) -> Problem:
    shapes = list(dict.fromkeys(place.shape for place in places))
    where = [f"{place.where} of container {place.container}" if place.container else place.where for place in places]
    looks = verb(places, "something that looks like", "what looks like")
    return Problem(
        object=object,
        status=Status.WARNING,
        reason="literal",
        message=f"{of_kind('Pod', pods)} {verb(pods, 'holds', 'hold')} {looks} {_either(shapes)}, written out in "
        f"{listed(where)}.",
        details={
            "places": [{"container": p.container, "where": p.where, "shape": p.shape} for p in places[:20]],
            "pods": pods[:50],
            "pod_count": len(pods),
            "controller": object if not object.startswith("Pod/") else "",
        },
    )


def _either(shapes: list[str]) -> str:
    named = [f"a{'n' if shape[0] in 'AEIOaeio' else ''} {shown(shape)}" for shape in shapes]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
