"""The reason chain of a registry's cell: image → Pod → pull Secrets → Secret → auths key → the registry's answer.

The first step that is broken is the one to repair; those after it could not be reached. No other namespace is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scanner.check import Context
from scanner.coverage import Covering, ImageUse
from scanner.pull_failure import Cause, PullFailure
from scanner.words import listed, shown

State = Literal["ok", "broken", "after", "unknown"]
_STATUS_CODE: Final = re.compile(r"(?<![\d.:/-])(?:401|403|404|407|429|5\d\d)(?![\d.:/-])")


@dataclass(frozen=True, slots=True)
class Step:
    """One link. `step` is "image", "pod", "pull-secrets", "secret", "key" or "registry"; `note` a second line or ""."""

    step: str
    state: State
    title: str
    note: str = ""


def chain_of_use(context: Context, use: ImageUse, uses: Sequence[ImageUse]) -> tuple[Step, ...]:
    """The chain of `use`, which stands for all `uses` of its registry."""
    steps = [_image(use, uses), _pod(use, uses), _pull_secrets(context, use), _secret(context, use), _key(context, use)]
    steps.append(_registry(use))
    return _after_break(steps)


def chain_of_link(context: Context, registry: str, secret: str, key: str) -> tuple[Step, ...]:
    """The chain where no Pod's image is known: what names `secret`, and its `key` for `registry` ("" when unknown)."""
    who = context.coverage.referring.get(secret, ())
    if "pods" in context.snapshot.unreadable:
        image = Step("image", "unknown", "the Pods could not be read")
    else:
        image = Step("image", "unknown", "no Pod here uses this registry now")
    stored = context.snapshot.secrets.get(secret)
    if stored is None:
        is_known = "secrets" not in context.snapshot.unreadable
        found = _absent(secret) if is_known else Step("secret", "unknown", f"{shown(secret)} could not be looked for")
    elif stored.malformed:
        found = Step("secret", "broken", f"{shown(secret)} cannot be read", stored.malformed)
    elif not stored.is_pull_secret:
        found = _of_another_type(secret, stored.type)
    else:
        found = Step("secret", "ok", shown(secret))
    return _after_break(
        [
            image,
            Step("pull-secrets", "ok", f"{listed(name.replace('/', ' ', 1) for name in who)} names {shown(secret)}"),
            found,
            Step("key", "ok", shown(key)) if key else Step("key", "unknown", f"would be {shown(registry)}"),
            Step("registry", "unknown", "not asked"),
        ]
    )


def _after_break(steps: list[Step]) -> tuple[Step, ...]:
    for index, step in enumerate(steps):
        if step.state == "broken":
            rest = (Step(later.step, "after", later.title, later.note) for later in steps[index + 1 :])
            return (*steps[: index + 1], *rest)
    return tuple(steps)


def _image(use: ImageUse, uses: Sequence[ImageUse]) -> Step:
    more = len({one.container.image for one in uses}) - 1
    note = f"and {more} more image{'s' if more > 1 else ''} of this registry" if more > 0 else ""
    return Step("image", "ok", shown(use.container.image), note)


def _pod(use: ImageUse, uses: Sequence[ImageUse]) -> Step:
    more = len({one.pod.name for one in uses}) - 1
    notes = [f"and {more} more"] if more > 0 else []
    if use.pod.controller:
        notes.append(f"made by {shown(use.pod.controller.replace('/', ' ', 1))}")
    return Step("pod", "ok", shown(use.pod.name), ", ".join(notes))


def _pull_secrets(context: Context, use: ImageUse) -> Step:
    named = use.pull_secrets.named
    account = context.snapshot.service_accounts.get(use.pod.service_account)
    unlinked = context.coverage.secrets_covering(use.container.image) if use.wants_credential else ()
    if unlinked:
        title = f"names {listed(named)}, not {shown(unlinked[0].secret)}" if named else "names none"
        return Step("pull-secrets", "broken", title, f"{shown(unlinked[0].secret)} is here and would cover the image")
    if not named:
        state: State = "broken" if use.wants_credential else "ok"
        return Step("pull-secrets", state, "names none", f"nor did ServiceAccount {shown(use.pod.service_account)}")
    if account is None:
        note = ""
    elif account.image_pull_secrets == named:
        note = f"from ServiceAccount {shown(account.name)}"
    else:
        note = "set in the Pod; the ServiceAccount's are not added"
    return Step("pull-secrets", "ok", f"names {listed(named)}", note)


def _secret(context: Context, use: ImageUse) -> Step:
    pulls = use.pull_secrets
    secrets = context.snapshot.secrets
    if "secrets" in context.snapshot.unreadable:
        return Step("secret", "unknown", "the Secrets could not be read")
    if pulls.malformed:
        name = pulls.malformed[0]
        return Step("secret", "broken", f"{shown(name)} cannot be read", secrets[name].malformed)
    if use.matches:
        covering = _first(use.matches)
        return Step("secret", "ok", shown(covering.secret), _others(use.matches))
    if pulls.missing:
        return _absent(*pulls.missing)
    if pulls.wrong_type and len(pulls.wrong_type) == len(pulls.named):
        return _of_another_type(pulls.wrong_type[0], secrets[pulls.wrong_type[0]].type)
    if not pulls.named:
        return Step("secret", "ok", "none")
    return Step("secret", "ok", f"{listed(pulls.named)} {'is' if len(pulls.named) == 1 else 'are'} here")


def _absent(*names: str) -> Step:
    verb = "is" if len(names) == 1 else "are"
    note = "A Pod can only use Secrets of its own Namespace."
    return Step("secret", "broken", f"{listed(names)} {verb} not in this Namespace", note)


def _of_another_type(name: str, secret_type: str) -> Step:
    note = "The kubelet uses only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg."
    return Step("secret", "broken", f"{shown(name)} is of the type {shown(secret_type)}", note)


def _others(matches: tuple[Covering, ...]) -> str:
    more = len(matches) - 1
    return f"{more} more {'entry' if more == 1 else 'entries'} would be tried after it" if more > 0 else ""


def _first(matches: tuple[Covering, ...]) -> Covering:
    """The match to show: the first with a user name, since the runtime pulls anonymously with another."""
    return next((match for match in matches if match.username), matches[0])


def _key(context: Context, use: ImageUse) -> Step:
    registry = shown(use.image.registry) if use.image else ""
    if not use.matches:
        if "secrets" in context.snapshot.unreadable:
            return Step("key", "unknown", f"would be {registry}")
        if not use.wants_credential and not use.failure:
            return Step("key", "ok", "none matches, the pull is anonymous")
        secrets = (context.snapshot.secrets.get(name) for name in use.pull_secrets.named)
        keys = dict.fromkeys(entry.raw_key for secret in secrets if secret for entry in secret.entries)
        state: State = "broken" if use.wants_credential else "ok"
        return Step("key", state, f"would be {registry}", f"there is {listed(keys)}" if keys else "")
    match = _first(use.matches)
    secret = context.snapshot.secrets[match.secret]
    parsed = next((one for one in secret.credentials if one.part == match.key), None)
    if parsed is not None and parsed.expires_at is not None and context.now >= parsed.expires_at:
        return Step("key", "broken", shown(match.key), f"expired on {parsed.expires_at:%Y-%m-%d %H:%M} UTC")
    if parsed is not None and parsed.flaw:
        return Step("key", "broken" if use.failure else "ok", shown(match.key), parsed.flaw)
    return Step("key", "ok", shown(match.key), f"user name {shown(match.username)}" if match.username else "")


def _registry(use: ImageUse) -> Step:
    if use.failure is not None and not use.awaits_retry:
        return Step("registry", "broken", _answer(use, use.failure), "seen in the Pod's last message")
    if use.awaits_retry:
        return Step("registry", "unknown", "not asked again yet", "the kubelet tries again by itself")
    if use.container.started:
        return Step("registry", "ok", "the container started", "so its image was pulled, or was on the node already")
    return Step("registry", "unknown", "not asked yet")


def _answer(use: ImageUse, failure: PullFailure) -> str:
    code = _STATUS_CODE.search(use.told[:16_384])
    if code and failure.cause in (Cause.AUTH_MISSING, Cause.AUTH_DENIED, Cause.AUTH_OR_NOT_FOUND, Cause.REGISTRY_ERROR):
        what = "an anonymous pull" if failure.credentials_used is False else "the pull"
        return f"answered {what} with {code[0]}"
    return failure.cause.label
