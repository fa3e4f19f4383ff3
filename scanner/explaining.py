"""One image, entry by entry: what the kubelet would try for it, in which order, and why it passes over the rest.

For a Pod as it is, or for one that is yet to be made under a ServiceAccount. The rules are in `coverage` and `keyring`;
here they are put into words. No value of a Secret comes this far.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec

from scanner.chain import Step, chain_of_use
from scanner.check import Context
from scanner.coverage import Covering, ImageUse
from scanner.image import Image, parse_image
from scanner.keyring import Mismatch, why_not
from scanner.near_miss import near_miss
from scanner.snapshot import Container, Pod, PullEntry, Secret
from scanner.trying import Attempt, attempts, hidden_logins
from scanner.words import days, listed, shown

State = Literal["used", "next", "expired", "anonymous", "unused"]
_MISMATCHES: Final = {
    Mismatch.DROPPED: "the key is no host name, so the kubelet leaves it out",
    Mismatch.BAD_PATTERN: "the key is no readable pattern",
    Mismatch.HOST_LABELS: "another host",
    Mismatch.HOST: "another host",
    Mismatch.PORT: "another port",
    Mismatch.PATH: "another path",
    Mismatch.ONLY_FALLBACK: "tried only when no key of any Secret matches",
}


class NotThere(Exception):
    """What was asked about is not in the Namespace, or could not be read. The text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of a pull Secret, or a Secret that gives none (`key` ""). `order` counts the tries from 1, None: not
    tried. `mismatch` is why not, in a word for programs ("port", "missing", "malformed", "wrong-type"...)."""

    secret: str
    key: str
    username: str
    order: int | None
    state: State
    mismatch: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`subject` is what keys are compared with. `pod` is "" for one that is yet to be made. `verdict` is a sentence."""

    image: str
    subject: str
    namespace: str
    pod: str
    service_account: str
    pull_secrets: tuple[str, ...]
    source: Literal["pod", "service-account"]
    is_covered: bool
    verdict: str
    hints: tuple[str, ...]
    lines: tuple[Line, ...]
    chain: tuple[Step, ...]


def explain_image(
    context: Context, reference: str, *, pod: str | None = None, service_account: str = "default"
) -> Explanation:
    """Explain `reference` for the Pod `pod`, or without one for a new Pod of `service_account` that names no Secret.

    Raises InvalidImage, and NotThere when the Secrets, the Pod or the ServiceAccount are not to be had.
    """
    image = parse_image(reference)
    asked = _asked(context, reference, pod, service_account)
    # Alone in its Namespace, so that nothing is said of other Pods; and where it fails now, its failure is known.
    alone = replace(context, snapshot=replace(context.snapshot, pods=(asked,)))
    use = next((use for use in alone.coverage.uses if use.image and use.image.name == image.name), None)
    if use is None:
        asked = msgspec.structs.replace(asked, containers=(_container(reference),), phase="")
        alone = replace(context, snapshot=replace(context.snapshot, pods=(asked,)))
        use = alone.coverage.uses[0]
    matches = () if use.pull_secrets.malformed else use.matches
    tried = attempts(alone, matches)
    is_covered = any(one.is_alive for one in tried)
    return Explanation(
        image=reference,
        subject=image.name,
        namespace=context.snapshot.name,
        pod=pod or "",
        service_account=asked.service_account,
        pull_secrets=asked.image_pull_secrets,
        source="pod" if pod and not _is_copied(context, asked) else "service-account",
        is_covered=is_covered,
        verdict=_verdict(use, tried),
        hints=tuple(_hints(alone, use, matches, is_new=pod is None)),
        lines=tuple(_lines(alone, use, image, tried)),
        chain=chain_of_use(alone, use, [use], must_cover=True),
    )


def _asked(context: Context, reference: str, pod: str | None, service_account: str) -> Pod:
    snapshot = context.snapshot
    where = f"the Namespace {snapshot.name}"
    needed = {"secrets", "pods" if pod else "serviceaccounts"}
    for resource in sorted(needed & snapshot.unreadable.keys()):
        raise NotThere(f"The {resource} of {where} could not be read: {snapshot.unreadable[resource]}.")
    if pod:
        found = next((one for one in snapshot.pods if one.name == pod), None)
        if found is None:
            raise NotThere(f"There is no Pod {shown(pod)} in {where}.")
        # What became of a Pod that is over does not matter here.
        return msgspec.structs.replace(found, phase="")
    account = snapshot.service_accounts.get(service_account)
    if account is None:
        raise NotThere(f"There is no ServiceAccount {shown(service_account)} in {where}.")
    return Pod(
        name="a new Pod",
        service_account=account.name,
        image_pull_secrets=account.image_pull_secrets,
        containers=(_container(reference),),
    )


def _container(reference: str) -> Container:
    return Container(name="container", role="container", image=reference)


def _is_copied(context: Context, pod: Pod) -> bool:
    account = context.snapshot.service_accounts.get(pod.service_account)
    return account is not None and account.image_pull_secrets == pod.image_pull_secrets


def _verdict(use: ImageUse, tried: tuple[Attempt, ...]) -> str:
    alive = next((one for one in tried if one.is_alive), None)
    if use.pull_secrets.malformed:
        return f"Not covered: the kubelet cannot read Secret {shown(use.pull_secrets.malformed[0])}, and pulls nothing."
    if alive:
        return f"Covered by the key {shown(alive.covering.key)} of Secret {shown(alive.covering.secret)}."
    if any(one.is_expired for one in tried):
        return "Not covered: what is tried has expired."
    if tried:
        lack = "password" if tried[0].covering.username else "user name"
        return f"Not covered: the entry that matches holds no {lack}, so the node pulls without a login."
    return "Not covered: no key matches, so the node pulls without a login."


def _lines(context: Context, use: ImageUse, image: Image, tried: tuple[Attempt, ...]) -> Iterator[Line]:
    alive = next((one for one in tried if one.is_alive), None)
    for order, attempt in enumerate(tried, start=1):
        yield _tried(context, attempt, order, is_used=attempt is alive)
    matched = {one.covering for one in tried}
    for name in dict.fromkeys(use.pull_secrets.named):
        secret = context.snapshot.secrets.get(name)
        if secret is None:
            yield _unused(name, "missing", "there is no such Secret in this Namespace; the kubelet skips it")
        elif secret.malformed:
            words = f"the kubelet cannot read it, which fails every pull of the Pod: {secret.malformed}"
            yield _unused(name, "malformed", words)
        elif not secret.is_pull_secret or (secret.misfit and not _has_usable(secret)):
            held = secret.misfit.words if secret.misfit else "it holds no docker config"
            words = held if secret.is_pull_secret else f"the type {shown(secret.type)} is passed over; {held}"
            yield _unused(name, "wrong-type", words)
        else:
            for entry in secret.entries:
                covering = Covering(
                    secret=name, key=entry.key or "", username=entry.username, has_password=entry.has_password
                )
                if covering not in matched:
                    yield _passed_over(use, secret, entry, image)


def _has_usable(secret: Secret) -> bool:
    """Its entries are worth a line each: they are looked up, even if they hold no login."""
    return any(entry.key and entry.key != "auths" for entry in secret.entries)


def _tried(context: Context, attempt: Attempt, order: int, *, is_used: bool) -> Line:
    state: State = "used" if is_used else "next"
    words = "is used" if is_used else "would be tried if all before it fail"
    if attempt.expires_at and attempt.is_expired:
        state, words = "expired", f"expired {days(attempt.expires_at, now=context.now)}; fails and costs a try"
    elif not attempt.covering.logs_in:
        lack = "password" if attempt.covering.username else "user name"
        state, words = "anonymous", f"holds no {lack}, so the node pulls without a login"
    covering = attempt.covering
    return Line(
        secret=covering.secret,
        key=covering.key,
        username=covering.username,
        order=order,
        state=state,
        mismatch="",
        words=words,
    )


def _unused(secret: str, mismatch: str, words: str) -> Line:
    return Line(secret=secret, key="", username="", order=None, state="unused", mismatch=mismatch, words=words)


def _passed_over(use: ImageUse, secret: Secret, entry: PullEntry, image: Image) -> Line:
    mismatch = why_not(entry.key, image.name)
    miss = near_miss(entry.raw_key, entry.key, image)
    if use.pull_secrets.malformed:
        told, words = "malformed", f"not read, because of Secret {shown(use.pull_secrets.malformed[0])}"
    elif mismatch is Mismatch.ONLY_FALLBACK and use.matches:
        told, words = "shadowed", f"tried only when no key matches, and {shown(use.matches[0].key)} does"
    elif miss:
        told, words = str(mismatch or ""), f"{miss.words}; should it read {shown(miss.should_be)}?"
    else:
        told, words = str(mismatch or ""), _MISMATCHES[mismatch] if mismatch else "the same as one that is tried"
    return Line(
        secret=secret.name,
        key=entry.raw_key,
        username=entry.username,
        order=None,
        state="unused",
        mismatch=told,
        words=words,
    )


def _hints(context: Context, use: ImageUse, matches: tuple[Covering, ...], *, is_new: bool) -> Iterator[str]:
    account = context.snapshot.service_accounts.get(use.pod.service_account)
    named, linked = use.pull_secrets.named, account.image_pull_secrets if account else ()
    if is_new:
        yield "A Pod that names pull Secrets itself uses only those, and none of its ServiceAccount's."
    elif named and account and named != linked:
        whose = (
            f"those of ServiceAccount {shown(account.name)} ({listed(linked)})" if linked else "its ServiceAccount's"
        )
        yield f"The Pod's own list replaces {whose}; they are not added."
    elif linked and not named and account and not use.pod.is_static:
        yield (
            f"ServiceAccount {shown(account.name)} links {listed(linked)} now; a Pod gets that only when it is made, "
            "so delete this one to have it made again."
        )
    if hidden := hidden_logins(context, named, matches):
        yield (
            f"The key {shown(matches[0].key)} hides the login under {shown(hidden[0].key)} in Secret "
            f"{shown(hidden[0].secret)}."
        )
    others = [one.secret for one in context.coverage.secrets_covering(use.container.image) if one.secret not in named]
    if others and not any(match.logs_in for match in matches):
        yield f"Secret {listed(dict.fromkeys(others))} of this Namespace would cover the image, and is not named."
    yield "What nodes bring along themselves (their own config.json, credential plugins) is not seen from here."


def as_json(explanation: Explanation) -> str:
    """ASCII, two spaces of indent; entries in the order of `lines`, the chain as in a cell's details."""
    document: dict[str, Any] = msgspec.to_builtins(explanation)
    document["entries"] = document.pop("lines")
    document["covered"] = document.pop("is_covered")
    return json.dumps(document, indent=2)


def as_text(explanation: Explanation) -> str:
    """For people: what is looked up, the tries in order, what is passed over and why, a verdict."""
    one = explanation
    who = f"Pod {shown(one.pod)}" if one.pod else f"a new Pod of ServiceAccount {shown(one.service_account)}"
    source = (
        f"from ServiceAccount {shown(one.service_account)}" if one.source == "service-account" else "set in the Pod"
    )
    text = [
        f"Image         {shown(one.image, 500)}",
        f"Looked up as  {shown(one.subject, 500)}",
        f"For           {who} in Namespace {shown(one.namespace)}",
        f"Pull Secrets  {f'{listed(one.pull_secrets, at_most=20)} ({source})' if one.pull_secrets else 'none'}",
    ]
    for title, lines in (
        ("Tried, in this order", [line for line in one.lines if line.order]),
        ("Passed over", [line for line in one.lines if not line.order]),
    ):
        if lines:
            text += ["", f"{title}:", *_table(lines)]
    text += ["", one.verdict, *(f"- {hint}" for hint in one.hints)]
    return "\n".join(text)


def _table(lines: list[Line]) -> Iterator[str]:
    rows = [
        (
            f"{line.order}." if line.order else "-",
            f"Secret {shown(line.secret)}",
            shown(line.key) or ("(empty key)" if line.username else "-"),
            f"user {shown(line.username)}" if line.username else "-",
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row, line in zip(rows, lines, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {cells}  {line.words}"
