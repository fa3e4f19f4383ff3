from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scanner.check import Context, Problem, Status, check
from scanner.elsewhere import Places
from scanner.words import shown


@check("PS05", "pull-secret-elsewhere", needs={"secrets", "pods"}, wants={"serviceaccounts"})
def pull_secret_elsewhere(context: Context) -> Iterator[Problem]:
    """The pull Secret that is missing here exists in another Namespace.

    Why it matters: it was probably created in the wrong Namespace. A Pod can only use Secrets of its own, so there it
    helps nobody here.
    How to fix: create the Secret here, too, by hand, from this page, or with a tool that keeps copies in step.
    """
    yield from _named_elsewhere(context)
    yield from _covered_elsewhere(context)


def _named_elsewhere(context: Context) -> Iterator[Problem]:
    coverage = context.coverage
    for name in coverage.referring:
        if name in context.snapshot.secrets:
            continue
        places = context.elsewhere.named(name, besides=context.snapshot.name)
        uses = [use for use in coverage.uses_naming(name) if not use.is_debugging]
        uncovered = [use for use in uses if not use.matches]
        if not places or (uses and not uncovered) or context.blames.wants_only_a_link(uncovered):
            continue
        for credential in context.columns_behind(uncovered):
            yield Problem(
                object=f"Secret/{name}",
                status=Status.WARNING,
                reason="elsewhere",
                message=f"A pull Secret {shown(name)} exists in {_count(places)}, but not here.",
                credential=credential,
                details={"secret": name, **_details(places)},
            )


def _covered_elsewhere(context: Context) -> Iterator[Problem]:
    coverage = context.coverage
    told = set[str]()
    for use in coverage.failing:
        image = use.image
        if image is None or use.credential in told or not use.wants_credential:
            continue
        if coverage.secrets_covering(image.name):
            continue
        if any(context.elsewhere.named(name, besides=context.snapshot.name) for name in use.pull_secrets.missing):
            continue
        places = context.elsewhere.covering(image.name, besides=context.snapshot.name)
        if places:
            told.add(use.credential)
            registry = shown(use.credential.removeprefix("registry/"))
            message = f"A pull Secret for {registry} exists in {_count(places)}, but not here."
            if use.credential in coverage.open_questions:
                message = f"If the image is private: a{message[1:]}"
            yield Problem(
                object=f"Registry/{registry}",
                status=Status.WARNING,
                reason="elsewhere",
                message=message,
                credential=use.credential,
                details={"image": shown(use.container.image, 500), **_details(places)},
            )


def _count(places: Places) -> str:
    # Which ones is for those to read who may see them, so no sentence may name them.
    return "another Namespace" if places.namespaces == 1 else f"{places.namespaces} other Namespaces"


def _details(places: Places) -> dict[str, Any]:
    return {
        "elsewhere": [[place.namespace, place.secret] for place in places.first],
        "elsewhere_count": places.count,
    }
