"""The reason chain of a registry's cell: image → Pod → pull Secrets → Secret → auths key → the registry's answer.

The first step that is broken is the one to repair; those after it could not be reached. No other namespace is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from scanner.blame import Blame, Why
from scanner.check import Context
from scanner.coverage import Covering, ImageUse
from scanner.latent import latent
from scanner.pull_failure import Cause, PullFailure
from scanner.snapshot import Secret
from scanner.trying import hidden_logins
from scanner.words import listed, shown

State = Literal["ok", "broken", "after", "unknown"]
_STATUS_CODE: Final = re.compile(r"(?<![\d.:/-])(?:401|403|404|407|429|5\d\d)(?![\d.:/-])")


class Step(msgspec.Struct, frozen=True, gc=False):
    """One link. `step` is "image", "pod", "pull-secrets", "secret", "key" or "registry"; `note` a second line or ""."""

    step: str
    state: State
    title: str
    note: str = ""


def chain_of_use(
    context: Context, use: ImageUse, uses: Sequence[ImageUse], *, must_cover: bool = False
) -> tuple[Step, ...]:
    """The chain of `use`, which stands for all `uses` of its registry. `must_cover`: no credential is a break, although
    no pull has failed yet."""
    blame = context.blames.of(use)
    is_bare = not use.matches and not use.pull_secrets.malformed
    if blame is None and use.image and is_bare and (must_cover or latent(context, use)):
        blame = context.blames.judge(use, use.image, wants=True)
    steps = [_image(use, uses), _pod(use, uses), _pull_secrets(context, use, blame), _secret(context, use, blame)]
    return _after_break([*steps, _key(context, use, blame), _registry(use)])


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
    elif stored.misfit or not stored.is_pull_secret:
        found = _unfit(stored)
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
    notes = [f"made by {shown(use.pod.controller.replace('/', ' ', 1))}"] if use.pod.controller else []
    if more > 0:
        # Last, since whatever made this one need not have made the others.
        notes.append(f"and {more} more Pod{'s' if more > 1 else ''}")
    return Step("pod", "ok", shown(use.pod.name), ", ".join(notes))


def _pull_secrets(context: Context, use: ImageUse, blame: Blame | None) -> Step:
    named = use.pull_secrets.named
    account = context.snapshot.service_accounts.get(use.pod.service_account)
    if blame and blame.why in (Why.STALE_LINK, Why.UNLINKED):
        title = f"names {listed(named)}, not {shown(blame.secret)}" if named else "names none"
        note = f"{shown(blame.secret)} is here and would cover the image"
        if blame.why is Why.STALE_LINK:
            note = f"ServiceAccount {shown(use.pod.service_account)} links {shown(blame.secret)} now, the Pod is older"
        return Step("pull-secrets", "broken", title, note)
    if not named:
        state: State = "broken" if blame else "ok"
        return Step("pull-secrets", state, "names none", f"nor did ServiceAccount {shown(use.pod.service_account)}")
    if account is None:
        note = ""
    elif account.image_pull_secrets == named:
        note = f"from ServiceAccount {shown(account.name)}"
    else:
        note = "set in the Pod; the ServiceAccount's are not added"
    return Step("pull-secrets", "ok", f"names {listed(named)}", note)


def _secret(context: Context, use: ImageUse, blame: Blame | None) -> Step:
    pulls = use.pull_secrets
    secrets = context.snapshot.secrets
    if "secrets" in context.snapshot.unreadable:
        return Step("secret", "unknown", "the Secrets could not be read")
    if pulls.malformed:
        name = pulls.malformed[0]
        return Step("secret", "broken", f"{shown(name)} cannot be read", secrets[name].malformed)
    if blame and blame.why is Why.WRONG_TYPE:
        return _unfit(secrets[blame.secret])
    if use.matches:
        covering = _first(use.matches)
        return Step("secret", "ok", shown(covering.secret), _others(use.matches))
    if pulls.missing:
        return _absent(*pulls.missing)
    if pulls.wrong_type and len(pulls.wrong_type) == len(pulls.named):
        return _unfit(secrets[pulls.wrong_type[0]])
    if not pulls.named:
        return Step("secret", "ok", "none")
    return Step("secret", "ok", f"{listed(pulls.named)} {'is' if len(pulls.named) == 1 else 'are'} here")


def _absent(*names: str) -> Step:
    verb = "is" if len(names) == 1 else "are"
    note = "A Pod can only use Secrets of its own Namespace."
    return Step("secret", "broken", f"{listed(names)} {verb} not in this Namespace", note)


def _unfit(secret: Secret) -> Step:
    """A Secret in which the kubelet finds no login."""
    note = secret.misfit.words if secret.misfit else ""
    if secret.is_pull_secret:
        return Step("secret", "broken", f"{shown(secret.name)} holds no login", note)
    note = note or "the kubelet uses only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg"
    return Step("secret", "broken", f"{shown(secret.name)} is of the type {shown(secret.type)}", note)


def _others(matches: tuple[Covering, ...]) -> str:
    more = len(matches) - 1
    return f"{more} more {'entry' if more == 1 else 'entries'} would be tried after it" if more > 0 else ""


def _first(matches: tuple[Covering, ...]) -> Covering:
    """The match to show: the first that logs in, since the runtime pulls anonymously with another."""
    return next((match for match in matches if match.logs_in), matches[0])


def _key(context: Context, use: ImageUse, blame: Blame | None) -> Step:
    registry = shown(use.image.registry) if use.image else ""
    if not use.matches:
        if "secrets" in context.snapshot.unreadable:
            return Step("key", "unknown", f"would be {registry}")
        if blame and blame.near_miss:
            miss = blame.near_miss
            title = f"{shown(miss.key)} should read {shown(miss.should_be)}"
            return Step("key", "broken", title, miss.words)
        if blame is None and not use.failure:
            return Step("key", "ok", "none matches, the pull is anonymous")
        secrets = (context.snapshot.secrets.get(name) for name in use.pull_secrets.named)
        keys = dict.fromkeys(entry.raw_key for secret in secrets if secret for entry in secret.entries)
        there = f"there is {listed(keys)}" if keys else ""
        return Step("key", "broken" if blame else "ok", f"would be {registry}", there)
    match = _first(use.matches)
    secret = context.snapshot.secrets[match.secret]
    parsed = next((one for one in secret.credentials if one.part == match.key), None)
    if parsed is not None and parsed.expires_at is not None and context.now >= parsed.expires_at:
        return Step("key", "broken", shown(match.key), f"expired on {parsed.expires_at:%Y-%m-%d %H:%M} UTC")
    if parsed is not None and parsed.flaw:
        return Step("key", "broken" if use.failure else "ok", shown(match.key), parsed.flaw)
    if hidden := hidden_logins(context, use.pull_secrets.named, use.matches):
        note = f"hides the login under {shown(hidden[0].key)} in Secret {shown(hidden[0].secret)}"
        return Step("key", "broken" if use.is_refused else "ok", shown(match.key), note)
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
        what = "an anonymous pull" if use.was_anonymous else "the pull"
        return f"answered {what} with {code[0]}"
    return failure.cause.label
