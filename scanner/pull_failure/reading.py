"""Read the message of a Pod that cannot start: what went wrong, what else it may be, and for which registry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.kubelet_rules import BY_CODE, BY_REASON, CONTAINER, CONTAINER_CONFIG, KUBELET, MOUNT, SANDBOX
from scanner.pull_failure.place import AUTH, Reading, by_place
from scanner.pull_failure.rule import Rule, first
from scanner.pull_failure.rules import PULL
from scanner.pull_failure.sent_rules import credential_was_sent
from scanner.pull_failure.text import (
    CODE,
    bounded,
    elements,
    images_in,
    prepared_text,
    registry_of,
    split_mirrors,
    unwrapped,
)


@dataclass(frozen=True, slots=True)
class PullFailure:
    """What one message says.

    ``alternatives`` are other causes that the same text can have, the likelier first, never ``cause`` itself.
    ``credentials_used`` is True or False only where the text proves it. ``registry`` is the image's own registry in its
    normal form (``docker.io``), None where the text names none. ``image`` is the reference as the text has it,
    ``secret`` and ``key`` are the names that the kubelet misses. ``detail`` is one sentence for people.
    """

    cause: Cause
    alternatives: tuple[Cause, ...] = ()
    credentials_used: bool | None = None
    registry: str | None = None
    image: str | None = None
    secret: str | None = None
    key: str | None = None
    detail: str = ""


def explain(message: str, reason: str = "") -> PullFailure:
    """Read ``message`` (a waiting container's, or an event's) with the ``reason`` that stood beside it; never raises.

    What is longer than 16,384 characters is read by its head and its tail.
    """
    text = bounded(message)
    reason = reason.strip()[:80]
    images = tuple(images_in(text))
    image = images[0] if images else None
    registry = registry_of(images, text)
    reading = _read(text, reason, images, registry)
    secret, key = _names(text, reading.cause)
    return PullFailure(
        cause=reading.cause,
        alternatives=_without(reading.alternatives, reading.cause),
        credentials_used=reading.credentials_used,
        registry=registry,
        image=image,
        secret=secret,
        key=key,
        detail=_detail(reading.cause, registry, secret, key),
    )


# --- Taking the text apart -------------------------------------------------------------------------------------------


_UNKNOWN = Reading(Cause.UNKNOWN)


def _first(rules: Iterable[Rule], text: str) -> Reading | None:
    rule = first(rules, text)
    return Reading(rule.cause, rule.alternatives, rule.credentials_used) if rule is not None else None


_MOUNT_TEXT = re.compile(
    r"mountvolume|mount volumes|waiting for volumes to|references non-existent (?:secret|config) key"
    r"|volume <name>|nodepublishsecretref"
)
_AFTER_PULL = frozenset(
    {
        "CreateContainerError",
        "RunContainerError",
        "PostStartHookError",
        "CrashLoopBackOff",
        "FailedScheduling",
        "FailedPostStartHook",
    }
)
_STARTED = re.compile(
    r"restarting failed container|failed to create (?:containerd|shim) task|oci runtime|executable file not found"
)
_SANDBOX_TEXT = re.compile(r"pod ?sandbox|sandbox (?:image|container)|createpodsandbox", re.IGNORECASE)
_SANDBOX_IMAGE = re.compile(
    r"sandbox (?:container )?image|pull(?:ing)? (?:and unpack )?image|manifest-url|pause", re.IGNORECASE
)


def _read(text: str, reason: str, images: tuple[str, ...], registry: str | None) -> Reading:
    prepared = prepared_text(text, images)
    found = _first(KUBELET, prepared)
    if found is not None:
        return found
    sandbox = reason == "FailedCreatePodSandBox" or _SANDBOX_TEXT.search(text) is not None
    if reason in _AFTER_PULL or (_STARTED.search(prepared) and not sandbox):
        return _first(CONTAINER_CONFIG, prepared) or _first(CONTAINER, prepared) or _UNKNOWN
    pulling = bool(images) and "image <image>" in prepared
    if (reason in ("FailedMount", "FailedAttachVolume") or _MOUNT_TEXT.search(prepared)) and not pulling:
        return _mount(prepared)
    if not pulling:
        found = _first(CONTAINER_CONFIG, prepared)
        if found is not None:
            return found
    if sandbox:
        return _sandbox(text, prepared, images, registry)
    reading = _pull(text, images, registry)
    if reading.cause is Cause.UNKNOWN:
        return replace(reading, cause=BY_REASON.get(reason, Cause.UNKNOWN))
    if reason == "ImageInspectError" or "failed to inspect image" in prepared:
        # The kubelet asked the container runtime on the node; no registry took part.
        return replace(reading, cause=_LOCALLY.get(reading.cause, reading.cause))
    return reading


_LOCALLY = {
    Cause.NOT_FOUND: Cause.NODE_STORAGE,
    Cause.NOT_FOUND_BLOB: Cause.NODE_STORAGE,
    Cause.CONN_TIMEOUT: Cause.NODE_CONFIG,
    Cause.CONN_REFUSED: Cause.NODE_CONFIG,
    Cause.CONN_BROKEN: Cause.NODE_CONFIG,
    Cause.AUTH_DENIED: Cause.NODE_CONFIG,
}


def _mount(prepared: str) -> Reading:
    """A projected volume reports all its Secrets in one text: the first rule is the cause, the others stand beside."""
    rules = [rule for rule in MOUNT if rule.pattern.search(prepared)]
    if not rules:
        return _UNKNOWN
    others = tuple(rule.cause for rule in rules[1:] if rule.cause in (Cause.MOUNT_KEY_MISSING, Cause.NODE_STORAGE))
    return Reading(rules[0].cause, (*others, *rules[0].alternatives))


def _sandbox(text: str, prepared: str, images: tuple[str, ...], registry: str | None) -> Reading:
    """The sandbox image is pulled with the node's credentials: no pull Secret is asked."""
    if not _SANDBOX_IMAGE.search(text):
        return _first(SANDBOX, prepared) or Reading(Cause.NODE_CONFIG)
    reading = _pull(text, images, registry)
    if reading.cause in AUTH or reading.cause is Cause.MIRROR_REFUSED:
        return replace(reading, cause=Cause.NODE_AUTH)
    if reading.cause in (Cause.INVALID_REFERENCE, Cause.SHORT_NAME, Cause.UNKNOWN):
        return replace(reading, cause=Cause.NODE_CONFIG)
    return reading


def _pull(text: str, images: tuple[str, ...], registry: str | None) -> Reading:
    parts = elements(unwrapped(text))
    # A single error's gRPC code stands in the wrapper; those of an aggregate stand in its elements.
    coded = [text] if len(parts) == 1 else parts
    readings = [
        (_by_code(_element(part, images, registry), whole), part) for part, whole in zip(parts, coded, strict=True)
    ]
    best, _ = max(readings, key=lambda pair: _progress(*pair))
    others = tuple(
        reading.cause for reading, _ in readings if reading is not best and reading.cause is not Cause.UNKNOWN
    )
    # The kubelet makes one attempt without a credential, or one for each that matches: two errors prove a match.
    used = True if len(parts) > 1 else best.credentials_used
    return Reading(best.cause, (*others, *best.alternatives), used)


def _element(text: str, images: tuple[str, ...], registry: str | None) -> Reading:
    """One attempt. containers/image asks the mirrors first and the registry last, and reports both."""
    text = unwrapped(text)
    mirrored = split_mirrors(text)
    if mirrored is None:
        return _attempt(text, images, registry)
    mirror, last = (_attempt(part, images, registry) for part in mirrored)
    if last.cause in _UNREACHABLE and mirror.cause in AUTH:
        # The registry itself is cut off, so the mirror is the way in, and it refused.
        return Reading(Cause.MIRROR_REFUSED, (last.cause, mirror.cause), mirror.credentials_used)
    extra = Cause.MIRROR_REFUSED if mirror.cause in AUTH else mirror.cause
    return replace(last, alternatives=(*last.alternatives, extra))


def _attempt(text: str, images: tuple[str, ...], registry: str | None) -> Reading:
    prepared = prepared_text(text, images)
    found = _first(PULL, prepared) or _UNKNOWN
    sent = credential_was_sent(prepared, text)
    if sent is not None:
        found = replace(found, credentials_used=sent)
    return by_place(found, text, prepared, registry)


def _by_code(reading: Reading, text: str) -> Reading:
    """Where the words say nothing, the gRPC code is a hint."""
    if reading.cause is not Cause.UNKNOWN:
        return reading
    codes = [code.lower() for code in CODE.findall(text)]
    return next((replace(reading, cause=BY_CODE[code]) for code in codes if code in BY_CODE), reading)


_UNREACHABLE = frozenset({Cause.DNS, Cause.CONN_REFUSED, Cause.CONN_TIMEOUT, Cause.CONN_BROKEN, Cause.PROXY})

# --- The furthest of several attempts --------------------------------------------------------------------------------

_LATE = re.compile(
    r"httpreade?r?seeker|failed to copy|writing blob|reading blob|fetching blob|register layer|extract layer|/blobs/",
    re.IGNORECASE,
)
_AT_TOKEN = re.compile(r"fetch (?:anonymous|oauth) token|bearer token|auth token", re.IGNORECASE)
_STEP = {
    Cause.UNKNOWN: 0,
    Cause.AUTH_MISSING: 4,
    Cause.AUTH_OR_NOT_FOUND: 5,
    Cause.AUTH_DENIED: 6,
    Cause.MIRROR_REFUSED: 6,
    Cause.AUTH_EXPIRED: 7,
    Cause.RATE_LIMIT: 10,
    Cause.REGISTRY_ERROR: 10,
    Cause.NOT_FOUND: 12,
    Cause.MANIFEST_FORMAT: 13,
    Cause.PLATFORM: 13,
    Cause.NOT_FOUND_BLOB: 14,
    Cause.NODE_STORAGE: 15,
}


def _progress(reading: Reading, text: str) -> int:
    """How far an attempt got: network, token, manifest, blob."""
    step = _STEP.get(reading.cause, 1)
    if _LATE.search(text):
        return step + 20
    # Refused at the token is one step before refused at the manifest.
    return step - 3 if reading.cause in AUTH and _AT_TOKEN.search(text) else step


# --- Names and words -------------------------------------------------------------------------------------------------

_MISSING_SECRET = re.compile(r"secrets? \\?\"?([\w.\-]{1,253})\\?\"? not found", re.IGNORECASE)
_MISSING_KEY = re.compile(
    r"couldn't find key (\S{1,253}) in Secret (?:[\w.\-]{1,253}/)?([\w.\-]{1,253})", re.IGNORECASE
)
_NO_SUCH_KEY = re.compile(r"references non-existent secret key: ([^\s,\]]{1,253})", re.IGNORECASE)
_PULL_SECRETS = re.compile(r"image pull secrets \(([^)]{1,1024})\)", re.IGNORECASE)


def _names(text: str, cause: Cause) -> tuple[str | None, str | None]:
    """The Secret and the key that the kubelet misses, where the cause is about one."""
    if cause is Cause.PULL_SECRET_MISSING:
        found = _PULL_SECRETS.search(text)
        return (found[1].strip() if found else None), None
    if cause in (Cause.ENV_SECRET_MISSING, Cause.MOUNT_SECRET_MISSING):
        found = _MISSING_SECRET.search(text)
        return (found[1] if found else None), None
    if cause in (Cause.ENV_KEY_MISSING, Cause.MOUNT_KEY_MISSING):
        found = _MISSING_KEY.search(text)
        if found:
            return found[2], found[1]
        found = _NO_SUCH_KEY.search(text)
        return None, (found[1] if found else None)
    return None, None


def _detail(cause: Cause, registry: str | None, secret: str | None, key: str | None) -> str:
    return cause.sentence.format(
        registry=(registry or "The registry")[:253],
        secret=(secret or "its name is not in the message")[:253],
        key=(key or "not named in the message")[:253],
    )[:600]


def _without(causes: Iterable[Cause], cause: Cause) -> tuple[Cause, ...]:
    return tuple(dict.fromkeys(other for other in causes if other not in (cause, Cause.UNKNOWN)))
