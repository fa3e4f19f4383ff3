"""Whose Namespace it is, as its Profile, its annotations and its RoleBindings say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from scanner import raw
from scanner.snapshot.picture import Owner

OWNER_ANNOTATION: Final = "credboard.dev/owner"
KUBEFLOW_OWNER_ANNOTATION: Final = "owner"
KUBEFLOW_LABEL: Final = ("app.kubernetes.io/part-of", "kubeflow-profile")


def owners_of(objects: raw.NamespaceObjects) -> Iterator[Owner]:
    seen = set[tuple[str, str]]()
    for owner in _owner_claims(objects):
        if owner.name and (owner.kind, owner.name) not in seen:
            seen.add((owner.kind, owner.name))
            yield owner


def _owner_claims(objects: raw.NamespaceObjects) -> Iterator[Owner]:
    metadata = objects.namespace.metadata
    annotations = metadata.annotations or {}
    label, value = KUBEFLOW_LABEL
    if subject := objects.profile_owner:
        yield Owner(kind="group" if subject.kind == "Group" else "user", name=subject.name, source="profile")
    elif (metadata.labels or {}).get(label) == value:
        # The controller writes the owner's name here whatever its kind, so only where the Profile itself is not known.
        yield Owner(kind="user", name=annotations.get(KUBEFLOW_OWNER_ANNOTATION, "").strip(), source="profile")
    for word in annotations.get(OWNER_ANNOTATION, "").split(","):
        yield from _annotated(word.strip())
    for binding in objects.role_bindings:
        for subject in binding.subjects or ():
            if subject.kind in ("User", "Group") and not subject.name.startswith("system:"):
                kind: Literal["user", "group"] = "user" if subject.kind == "User" else "group"
                yield Owner(kind=kind, name=subject.name, source="rolebinding")


def _annotated(word: str) -> Iterator[Owner]:
    """Whom a word of the owner annotation means: "group:NAME" a group, any other a user, and without an @, as in no
    mail address, a group as well. The system's own groups own nothing: they would be everybody."""
    group = word.removeprefix("group:").strip()
    is_group = group != word
    if not is_group:
        yield Owner(kind="user", name=word, source="annotation")
    if (is_group or "@" not in word) and not group.startswith("system:"):
        yield Owner(kind="group", name=group, source="annotation")
