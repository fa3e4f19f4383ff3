"""Acknowledge and snooze: one call each for pages and the API, so that both hold to the same rules.

An owner may in the own Namespaces, an operator everywhere. Nothing about a cell changes but who is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from dashboard.models import Acknowledgement
from dashboard.models.acknowledgement import MAX_NOTE
from scanner.check import Status
from scanner.models import AuditEntry, Cell, Namespace
from scanner.words import without_secrets

#: The furthest end. Whatever lasts longer is a policy, not an acknowledgement.
LONGEST: Final = timedelta(days=366)
#: Most cells that one request may acknowledge.
MOST_AT_ONCE: Final = 500
NO_CELL: Final = "There is no such cell, or it is not for you to see."


class CannotAcknowledge(ValueError):
    """Why it was refused, as one sentence for the person."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def acknowledge(
    user: Any,
    namespace: Namespace,
    credential: str,
    *,
    note: str,
    until: datetime,
    is_snooze: bool = False,
    now: datetime,
) -> Acknowledgement:
    """Acknowledge the present state of a cell, or with `is_snooze` silence the cell whatever it does, until `until`.

    It replaces one that is in force for the cell. `until` and `now` are aware. Raises CannotAcknowledge: no such cell
    or not for this user, the cell is well, no note or one of more than 500 characters, `until` not within a year.
    """
    words = checked(note, until, now=now)
    if not Namespace.objects.visible_to(user).filter(pk=namespace.pk).exists():
        raise CannotAcknowledge(NO_CELL)
    with transaction.atomic():
        cells = _locked({(namespace.pk, credential)})
        if not cells:
            raise CannotAcknowledge(NO_CELL)
        if _is_well(cells[0], now=now):
            raise CannotAcknowledge("The cell is well, so there is nothing to acknowledge.")
        return _write(user, cells, note=words, until=until, is_snooze=is_snooze, now=now)[0]


def acknowledge_all(
    user: Any,
    cells: Collection[tuple[int, str]],
    *,
    note: str,
    until: datetime,
    is_snooze: bool = False,
    now: datetime,
) -> int:
    """The same for many cells at once, (pk of the Namespace, credential): all or none of them are written.

    Returns how many. Those that are gone, well or not for this user are left out. Raises CannotAcknowledge as
    `acknowledge` does, for more than `MOST_AT_ONCE` cells, and when none is left.
    """
    words = checked(note, until, now=now)
    if len(cells) > MOST_AT_ONCE:
        raise CannotAcknowledge(
            f"These are {len(cells)} cells, and at most {MOST_AT_ONCE} can be acknowledged at once. "
            "Narrow the filters first."
        )
    keys = {namespace for namespace, _ in cells}
    visible = set(Namespace.objects.visible_to(user).filter(pk__in=keys).values_list("pk", flat=True))
    with transaction.atomic():
        found = _locked({cell for cell in cells if cell[0] in visible})
        hurt = [cell for cell in found if not _is_well(cell, now=now)]
        if not hurt:
            raise CannotAcknowledge("None of these cells has anything to acknowledge now.")
        return len(_write(user, hurt, note=words, until=until, is_snooze=is_snooze, now=now))


def end(user: Any, acknowledgement: Acknowledgement, *, now: datetime) -> None:
    """End it before its date. Nothing happens when it has ended. Raises CannotAcknowledge where `user` may not."""
    seen = Namespace.objects.visible_to(user).filter(pk=acknowledgement.namespace_id)
    namespace = seen.select_related("cluster").first()
    if namespace is None:
        raise CannotAcknowledge("There is no such acknowledgement.")
    actor = user.get_username()
    with transaction.atomic():
        if Acknowledgement.objects.end(acknowledgement.pk, actor=actor, now=now):
            told = f"{acknowledgement.verb} by {acknowledgement.actor}: {acknowledgement.note}"
            _entry(actor, "unsnooze", namespace, acknowledgement.credential, message=told, now=now).save()


def checked(note: str, until: datetime, *, now: datetime) -> str:
    """`note` as it is stored: on one line, without logins in its addresses. Raises CannotAcknowledge."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in note).split())
    if not words:
        raise CannotAcknowledge("Say why, so that others know what is being done about it.")
    if len(words) > MAX_NOTE:
        raise CannotAcknowledge(f"The reason has {len(words)} characters; {MAX_NOTE} fit.")
    if until <= now:
        raise CannotAcknowledge("The end lies in the past. Choose a later one.")
    if until - now > LONGEST:
        raise CannotAcknowledge("The end is more than a year ahead. Choose an earlier one; it can be extended then.")
    return without_secrets(words, MAX_NOTE)


def _locked(wanted: Collection[tuple[int, str]]) -> list[Cell]:
    """The cells that are there, until the end of the transaction nobody else's: the second of two people replaces what
    the first one wrote."""
    rows = Cell.objects.filter(
        namespace__in={namespace for namespace, _ in wanted}, credential__slug__in={slug for _, slug in wanted}
    )
    rows = rows.select_related("credential", "namespace__cluster").select_for_update(of=("self",)).order_by("pk")
    return [cell for cell in rows if (cell.namespace_id, cell.credential.slug) in wanted]


def _is_well(cell: Cell, *, now: datetime) -> bool:
    return cell.status == Status.OK and not cell.namespace.is_stale(now)


def _write(
    user: Any, cells: Iterable[Cell], *, note: str, until: datetime, is_snooze: bool, now: datetime
) -> list[Acknowledgement]:
    actor = user.get_username()
    made = [
        Acknowledgement(
            namespace=cell.namespace,
            credential=cell.credential.slug,
            is_snooze=is_snooze,
            status=cell.status,
            reason=cell.reason,
            note=note,
            actor=actor,
            created_at=now,
            until=until,
        )
        for cell in cells
    ]
    Acknowledgement.objects.close({(one.namespace_id, one.credential) for one in made}, actor=actor, now=now)
    action = "snooze" if is_snooze else "acknowledge"
    told = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {note}"
    AuditEntry.objects.bulk_create(
        _entry(actor, action, one.namespace, one.credential, message=told, now=now) for one in made
    )
    return Acknowledgement.objects.bulk_create(made)


def _entry(
    actor: str, action: str, namespace: Namespace, credential: str, *, message: str, now: datetime
) -> AuditEntry:
    return AuditEntry(
        at=now,
        actor=actor,
        action=action,
        cluster=namespace.cluster.name,
        namespace=namespace.name,
        object=credential,
        outcome=AuditEntry.Outcome.DONE,
        message=message[:1000],
    )
