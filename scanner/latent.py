"""Pods that run on an image their Namespace could not pull again, as far as there is evidence that it needs a login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from scanner.check import Context
from scanner.coverage import ImageUse
from scanner.image import Image
from scanner.near_miss import WELL_KNOWN
from scanner.pull_failure import Cause
from scanner.trying import attempts

#: The nodes of the cloud that a registry belongs to log in by themselves, so its images run without a pull Secret.
_CLOUD: Final = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".on.aws",
    ".azurecr.io",
    ".azurecr.cn",
    ".pkg.dev",
    ".gcr.io",
    ".icr.io",
)
_PULLED: Final = "Successfully pulled image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """`why`: "refused" (an anonymous pull of a neighbour fails here now), "expired" (what covers it has ended) or
    "elsewhere" (`places` other Namespaces have a pull Secret for it)."""

    why: Literal["refused", "expired", "elsewhere"]
    use: ImageUse
    places: int = 0


def latent(context: Context, use: ImageUse) -> Latent | None:
    """Whether a running container's image could not be pulled again. Without evidence an image counts as public.

    Pods whose pull Secret is missing or broken, and registries that are required to have one, are told by others.
    """
    image = use.image
    if image is None or not use.credential or use.failure or not use.container.started or use.pod.is_finished:
        return None
    if use.is_debugging:
        return None
    if use.pull_secrets.missing or use.pull_secrets.malformed or use.pod.is_static:
        return None
    if not {"secrets", "pods"}.isdisjoint(context.snapshot.unreadable):
        return None
    logins = [attempt for attempt in attempts(context, use.matches) if attempt.covering.logs_in]
    if logins:
        is_over = all(attempt.is_expired for attempt in logins)
        return Latent(why="expired", use=use) if is_over else None
    if image.registry in context.required_registries:
        return None
    is_refused = any(_is_refusal(other, image) for other in context.coverage.failing)
    is_public = image.registry in WELL_KNOWN or is_of_cloud(image)
    if (is_public and not is_refused) or _was_pulled_freely(context, image):
        return None
    if is_refused:
        return Latent(why="refused", use=use)
    # Asked last: a Namespace that asks about others is judged when all of them are read.
    places = context.elsewhere.meant_for(image.name, besides=context.snapshot.name)
    return Latent(why="elsewhere", use=use, places=places.namespaces) if places else None


def is_of_cloud(image: Image) -> bool:
    """Nodes of the cloud it belongs to may pull it without a pull Secret (the kubelet's credential plugins)."""
    return image.registry.partition(":")[0].endswith(_CLOUD)


def _is_refusal(other: ImageUse, image: Image) -> bool:
    """An anonymous pull that the registry refused now, of the same project or, where registries are private, at all."""
    failure = other.failure
    if failure is None or failure.cause is not Cause.AUTH_MISSING or other.image is None or other.matches:
        return False
    if other.image.registry != image.registry or failure.credentials_used:
        return False
    return image.registry not in WELL_KNOWN or _project(other.image) == _project(image)


def _was_pulled_freely(context: Context, image: Image) -> bool:
    """A node pulled from the same project lately for a Pod without a login for it: an Event says so for an hour."""
    return any(
        event.reason == "Pulled" and event.message.startswith(_PULLED) and f'"{use.container.image}"' in event.message
        for use in context.coverage.uses
        if use.image and not use.matches and _project(use.image) == _project(image)
        for event in use.pod.events
    )


def _project(image: Image) -> tuple[str, str]:
    return image.registry, image.repository.partition("/")[0]
