"""What a scan says of a namespace: results and coverage made into one cell for each credential that is needed there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from scanner import raw
from scanner.chain import Step, chain_of_link, chain_of_use
from scanner.check import Context, Result, Status, rank, run_checks
from scanner.columns import OTHERS
from scanner.coverage import ImageUse
from scanner.credential import Fingerprint, ParsedCredential, column
from scanner.credentials.docker_registry import registry_of_key
from scanner.elsewhere import Elsewhere, Places
from scanner.policy import Policy
from scanner.snapshot import Secret, Snapshot, build_snapshot

__all__ = ["Cell", "Step", "Verdict", "judge", "judge_all"]

#: Without one of these no namespace can be called well.
ESSENTIAL: Final = frozenset({"secrets", "pods", "serviceaccounts"})
#: Without these a check may know less: what it found before stands, and the namespace can be well all the same.
_HELPFUL: Final = frozenset({"namespaces", *raw.RESOURCES}) - ESSENTIAL
MAX_PODS: Final = 50
#: Registries that stand in linked pull Secrets and that no Pod needs: more of a Namespace than these have no cell. Each
#: may become a column of everybody's matrix, and one Secret has room for twenty thousand.
MOST_LINKED: Final = 200
#: More of a Namespace are not stored, the worst of all come first: one tenant's objects must not fill the tables and
#: pages of all. That there are more is told by a cell of its own, which is unknown.
MOST_CELLS: Final = 500
MOST_FINDINGS: Final = 2_000
#: Of results with the same status, those of the family that explains more come first: what is wrong with the Secret
#: before what the Pod says of it.
_FAMILIES: Final = ("PS", "RG", "TK", "CE", "KF", "KS", "RQ", "HY", "PO")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that the namespace needs. `verified` is "pod" when a Pod was made and started with it since its
    Secret was last written.

    `secret` is the one that covers ("" when none does); `pods` those affected, or that use it when all is well, at
    most 50 of `pod_count`; `details` the facts of the worst result with its `code` and `message`, and `elsewhere`, to
    be filtered by what the reader may see; `awaiting` in it is how many Pods failed before the credential was there and
    are yet to be tried again.
    """

    credential: str
    status: Status
    reason: str
    expires_at: datetime | None = None
    expiry_source: str = ""
    verified: str = ""
    secret: str = ""
    pods: tuple[str, ...] = ()
    pod_count: int = 0
    chain: tuple[Step, ...] = ()
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`status` is the worst of cells and findings, and unknown at least where something essential could not be read.

    `unasked` maps codes of checks without a whole answer to why: what they found before must stand.
    """

    snapshot: Snapshot
    status: Status
    reason: str
    cells: tuple[Cell, ...]
    findings: tuple[Result, ...]
    unasked: Mapping[str, str]


def judge(context: Context, *, strict: bool = False) -> Verdict:
    """Ask all checks about `context` and draw the cells. With `strict` (tests) a check that raises is raised."""
    results = run_checks(context, strict=strict)
    cells = _Cells(context, results.found).all()
    findings = results.found
    if len(cells) > MOST_CELLS or len(findings) > MOST_FINDINGS:
        cells = (*cells[:MOST_CELLS], _others(cells=len(cells), findings=len(findings)))
        findings = tuple(sorted(findings, key=lambda one: (_order(one), one.object, one.credential))[:MOST_FINDINGS])
    candidates = [(cell.status, cell.reason) for cell in cells]
    candidates += [(result.status, result.reason) for result in sorted(results.found, key=_order)]
    gaps = {why.partition(":")[0] for why in results.unasked.values()} - _HELPFUL
    if gaps or ESSENTIAL & context.snapshot.unreadable.keys() or not _exists(context.snapshot):
        candidates.append((Status.UNKNOWN, "not-checked"))
    status, reason = max(candidates, key=lambda one: rank(one[0]), default=(Status.OK, ""))
    return Verdict(
        snapshot=context.snapshot,
        status=status,
        reason="" if status is Status.OK else reason,
        cells=cells,
        findings=findings,
        unasked=results.unasked,
    )


def _others(*, cells: int, findings: int) -> Cell:
    """What stands for those that are not shown."""
    return Cell(
        credential=OTHERS,
        status=Status.UNKNOWN,
        reason="too-many",
        details={"cells": cells, "findings": findings},
    )


def _exists(snapshot: Snapshot) -> bool:
    """Whether anything proves that the namespace is there: the namespace itself, or an object in it. The API server
    answers lists in a namespace that never was with nothing, while a real one has a ServiceAccount `default`."""
    if "namespaces" not in snapshot.unreadable:
        return True
    return bool(snapshot.service_accounts or snapshot.secrets or snapshot.pods)


class _NotYet(Elsewhere):
    """Stands in while the index is being built, and remembers whether anybody asked."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = False

    def named(self, secret: str, *, besides: str) -> Places:
        self.was_asked = True
        return Places()

    def covering(self, image: str, *, besides: str) -> Places:
        self.was_asked = True
        return Places()

    def sharing(self, fingerprint: str, *, besides: str) -> int:
        self.was_asked = True
        return 0


def judge_all(
    objects: Iterable[raw.NamespaceObjects],
    *,
    policy: Policy,
    now: datetime,
    fingerprint: Fingerprint,
    elsewhere: Elsewhere | None = None,
) -> Iterator[Verdict]:
    """Judge namespaces as they come. With `elsewhere` each verdict follows at once.

    Without, the index is built on the way, and the namespaces of which a check asked what is elsewhere
    come last, in order. Only their snapshots, and what was read of their failures, are held until then.
    """
    index = Elsewhere()
    deferred: list[Context] = []
    for one in objects:
        snapshot = build_snapshot(one, fingerprint=fingerprint)
        if elsewhere is not None:
            yield judge(Context(snapshot=snapshot, policy=policy, now=now, elsewhere=elsewhere))
            continue
        # Only checks on request ask who shares a credential, and an index of all of them is large.
        index.add(snapshot.name, snapshot.pull_secret_keys(), snapshot.fingerprints() if policy.enabled else ())
        not_yet = _NotYet()
        context = Context(snapshot=snapshot, policy=policy, now=now, elsewhere=not_yet)
        verdict = judge(context)
        if not_yet.was_asked:
            deferred.append(context)
        else:
            yield verdict
    deferred.reverse()
    while deferred:
        yield judge(deferred.pop().with_elsewhere(index))


def _order(result: Result) -> tuple[int, int, str]:
    family = result.code[:2]
    return (-rank(result.status), _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES), result.code)


class _Cells:
    """The cells of one namespace while they are drawn."""

    def __init__(self, context: Context, results: Iterable[Result]) -> None:
        self.context = context
        self.results: dict[str, list[Result]] = {}
        for result in results:
            # What is told for information neither needs a credential nor says how it is.
            if result.credential and result.status is not Status.OK:
                self.results.setdefault(result.credential, []).append(result)
        self.uses: dict[str, list[ImageUse]] = {}
        self.links: dict[str, list[tuple[Secret, str]]] = {}
        self.stored: dict[str, list[tuple[Secret, ParsedCredential]]] = {}
        self.unread: dict[str, list[tuple[Secret, str]]] = {}
        self.needed = dict.fromkeys(self.results)
        self._find_uses()
        self._find_links()
        self._find_stored()

    def all(self) -> tuple[Cell, ...]:
        cells = [
            self._registry(credential) if credential.startswith("registry/") else self._other(credential)
            for credential in self.needed
        ]
        cells.sort(key=lambda cell: (-rank(cell.status), cell.credential))
        return tuple(cells)

    def _find_uses(self) -> None:
        no_secrets = "secrets" in self.context.snapshot.unreadable
        for use in self.context.coverage.uses:
            if credential := use.credential:
                self.uses.setdefault(credential, []).append(use)
                if use.matches or (no_secrets and use.pull_secrets.named):
                    self.needed[credential] = None

    def _find_links(self) -> None:
        # A key that only just misses is shown at the registry that it misses: see PS06.
        misses = {(blame.secret, blame.near_miss.key) for blame in self.context.blames.all if blame.near_miss}
        # `Coverage` makes one object of equal matches.
        alike = {id(use.matches): use.matches for uses in self.uses.values() for use in uses}
        matched = {(match.secret, match.key) for matches in alike.values() for match in matches}
        for name in self.context.coverage.referring:
            secret = self.context.snapshot.secrets.get(name)
            if secret is None or not secret.is_pull_secret:
                continue
            for entry in secret.entries:
                key = entry.key
                # A dockercfg Secret with a whole config.json in it has one key, "auths": see PS08.
                if key is None or (key == "auths" and secret.type == "kubernetes.io/dockercfg"):
                    continue
                if (name, entry.raw_key) in misses:
                    continue
                registry = registry_of_key(key)
                # A pattern is shown by the registries that it is used for, where there are any.
                if (name, key) in matched and ("*" in registry or "[" in registry):
                    continue
                credential = column("registry", registry)
                if credential not in self.needed and len(self.links) >= MOST_LINKED:
                    continue
                self.links.setdefault(credential, []).append((secret, key))
                self.needed[credential] = None

    def _find_stored(self) -> None:
        for secret in self.context.snapshot.secrets.values():
            if not secret.is_pull_secret:
                for parsed in secret.credentials:
                    self.stored.setdefault(parsed.credential, []).append((secret, parsed))
                    self.needed[parsed.credential] = None
            for unread in secret.unparsable:
                if unread.credential:
                    self.unread.setdefault(unread.credential, []).append((secret, unread.reason))
                    self.needed[unread.credential] = None

    def _registry(self, credential: str) -> Cell:
        uses = self.uses.get(credential, [])
        matched = [use for use in uses if use.matches]
        links = self.links.get(credential, [])
        results = sorted(self.results.get(credential, ()), key=_order)
        status, reason = Status.OK, "covered"
        if not {"secrets", "pods"}.isdisjoint(self.context.snapshot.unreadable):
            status, reason = Status.UNKNOWN, "not-checked"
        status, reason, details = _judged(status, reason, results)
        alike = {id(use.matches): use.matches for use in matched}
        entries = list(dict.fromkeys((match.secret, match.key) for matches in alike.values() for match in matches))
        entries = entries or [(secret.name, key) for secret, key in links]
        expires_at, source, flaw = self._expiry(entries)
        verified = "pod" if any(self._is_proof(use) for use in matched) else ""
        if flaw:
            details["flaw"] = flaw
            if status is Status.OK and not verified:
                status, reason = Status.WARNING, "malformed"
        if awaiting := len({use.pod.name for use in matched if use.awaits_retry}):
            details["awaiting"] = awaiting
        pods, pod_count = _affected(results) if results else _pods(matched or uses)
        return Cell(
            credential=credential,
            status=status,
            reason=reason,
            expires_at=expires_at,
            expiry_source=source,
            verified=verified if status in (Status.OK, Status.WARNING) else "",
            secret=entries[0][0] if entries else "",
            pods=pods,
            pod_count=pod_count,
            chain=self._chain(credential, uses, results),
            details=details,
        )

    def _other(self, credential: str) -> Cell:
        results = sorted(self.results.get(credential, ()), key=_order)
        stored = self.stored.get(credential, [])
        unread = self.unread.get(credential, [])
        status, reason, details = _judged(Status.OK, "valid", results)
        flaws = [parsed.flaw for _, parsed in stored if parsed.flaw] + [words for _, words in unread]
        if flaws:
            details["flaw"] = flaws[0]
            if status is Status.OK:
                status, reason = Status.WARNING, "malformed"
        ending = min(
            ((parsed.expires_at, secret, parsed) for secret, parsed in stored if parsed.expires_at),
            key=lambda one: one[0],
            default=None,
        )
        if stored and all(parsed.never_expires for _, parsed in stored):
            details["never_expires"] = True
        secret = ending[1] if ending else next((one[0] for one in (*stored, *unread)), None)
        pods, pod_count = _affected(results)
        return Cell(
            credential=credential,
            status=status,
            reason=reason,
            expires_at=ending[0] if ending else None,
            expiry_source=ending[2].expiry_source if ending else "",
            secret=secret.name if secret else "",
            pods=pods,
            pod_count=pod_count,
            details=details,
        )

    def _expiry(self, entries: list[tuple[str, str]]) -> tuple[datetime | None, str, str]:
        """(earliest end, its source, first flaw) of the credentials at (Secret, key)."""
        first: tuple[datetime, str] | None = None
        flaw = ""
        for entry in entries:
            for parsed in self._by_entry.get(entry, ()):
                flaw = flaw or parsed.flaw
                if parsed.expires_at and (first is None or parsed.expires_at < first[0]):
                    first = (parsed.expires_at, parsed.expiry_source)
        return (*first, flaw) if first else (None, "", flaw)

    @cached_property
    def _by_entry(self) -> dict[tuple[str, str], list[ParsedCredential]]:
        """What Secrets hold, by (Secret, key)."""
        found: dict[tuple[str, str], list[ParsedCredential]] = {}
        for secret in self.context.snapshot.secrets.values():
            for parsed in secret.credentials:
                found.setdefault((secret.name, parsed.part), []).append(parsed)
        return found

    def _is_proof(self, use: ImageUse) -> bool:
        """A container started in a Pod that is younger than what is in the Secret its image would be pulled with."""
        if use.login is None or not use.container.started or use.pod.created_at is None:
            return False
        written = self.context.snapshot.secrets[use.login.secret].changed_at
        return written is not None and use.pod.created_at > written

    def _chain(self, credential: str, uses: list[ImageUse], results: list[Result]) -> tuple[Step, ...]:
        if uses:
            affected = set(results[0].details.get("pods", ())) if results else set[str]()
            best = max(
                uses,
                key=lambda use: (
                    use.pod.name in affected,
                    use.failure is not None,
                    bool(use.matches),
                    use.container.started,
                ),
            )
            return chain_of_use(self.context, best, uses)
        registry = credential.removeprefix("registry/")
        links = self.links.get(credential, [])
        if links:
            return chain_of_link(self.context, registry, links[0][0].name, links[0][1])
        secret = next((str(result.details["secret"]) for result in results if result.details.get("secret")), "")
        return chain_of_link(self.context, registry, secret, "") if secret else ()


def _judged(status: Status, reason: str, results: list[Result]) -> tuple[Status, str, dict[str, Any]]:
    """Status and reason that stand when `results` (worst first) are added, and the facts to show."""
    if not results:
        return status, reason, {}
    first = results[0]
    details: dict[str, Any] = {**first.details, "code": first.code, "message": first.message}
    for result in results[1:]:
        if "elsewhere" in result.details:
            details["elsewhere"] = result.details["elsewhere"]
            details["elsewhere_count"] = result.details["elsewhere_count"]
    if rank(first.status) >= rank(status):
        status, reason = first.status, first.reason
    return status, reason, details


def _affected(results: list[Result]) -> tuple[tuple[str, ...], int]:
    """Pods that the results name, those of the worst first, and how many there are at least."""
    names = list(dict.fromkeys(name for result in results for name in result.details.get("pods", ())))
    count = max((int(result.details.get("pod_count", 0)) for result in results), default=0)
    return tuple(names[:MAX_PODS]), max(count, len(names))


def _pods(uses: list[ImageUse]) -> tuple[tuple[str, ...], int]:
    names = list(dict.fromkeys(use.pod.name for use in uses))
    return tuple(names[:MAX_PODS]), len(names)
