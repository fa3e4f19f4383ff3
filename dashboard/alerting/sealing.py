"""Messages that have collected for long enough are written, or held back by quiet hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from dashboard.alerting.damping import News
from dashboard.alerting.desk import entry_of_row, group_of_row
from dashboard.alerting.naming import naming
from dashboard.alerting.wording import Message, compose_digest
from dashboard.models import Acknowledgement, AlertItem, AlertMessage, AlertRoute
from scanner.check import Status


def seal(routes: Iterable[AlertRoute], *, now: datetime) -> None:
    """Write the messages that have collected for long enough, and hold back those that fall into quiet hours."""
    for route in routes:
        due = list(route.messages.collecting().filter(due_at__lte=now).order_by("pk"))
        if not due:
            continue
        until = route.quiet_until_at(now)
        if until is not None:
            loud = [one for one in due if route.critical_breaks_quiet and one.status == Status.CRITICAL]
            quiet = [one.pk for one in due if one not in loud]
            AlertMessage.objects.filter(pk__in=quiet).update(is_held=True, due_at=until)
            due = loud
        held = [one for one in due if one.is_held]
        if held:
            _write(route, held, now=now)
        for one in due:
            if not one.is_held:
                _write(route, [one], now=now)


def _write(route: AlertRoute, messages: Sequence[AlertMessage], *, now: datetime) -> None:
    """Make one message of `messages`, or none when somebody has seen to all that they tell meanwhile."""
    items = _not_seen_to(route, messages, now=now)
    parts = [
        (group_of_row(one), [entry_of_row(item) for item in items if item.message_id == one.pk], _remaining(route, one))
        for one in messages
    ]
    parts = [part for part in parts if part[1]]
    first, *others = messages
    if not parts:
        AlertMessage.objects.filter(pk__in=[one.pk for one in messages]).delete()
        return
    written = compose_digest(
        parts, names=naming({item.namespace_id: item.namespace.name for item in items}, zone=route.zone)
    )
    AlertItem.objects.filter(message__in=others).update(message=first)
    AlertMessage.objects.filter(pk__in=[one.pk for one in others]).delete()
    _send_off(first, written, now=now)


def _send_off(message: AlertMessage, written: Message, *, now: datetime) -> None:
    message.title, message.body, message.severity = written.title, written.body, written.severity
    message.state, message.sealed_at = AlertMessage.State.PENDING, now
    message.save(update_fields=["title", "body", "severity", "state", "sealed_at"])


def _not_seen_to(route: AlertRoute, messages: Sequence[AlertMessage], *, now: datetime) -> list[AlertItem]:
    """Their items without those whose cell was acknowledged while the message collected. The route was never told of
    these, so it forgets them."""
    items = list(AlertItem.objects.filter(message__in=messages).select_related("message", "namespace").order_by("pk"))
    silent = Acknowledgement.objects.covered({item.namespace_id for item in items}, now=now)
    seen_to = silent & {(item.namespace_id, item.credential) for item in items}
    for namespace, credential in seen_to:
        route.told_cells.filter(namespace=namespace, credential=credential).delete()
    return [item for item in items if (item.namespace_id, item.credential) not in seen_to]


def _remaining(route: AlertRoute, message: AlertMessage) -> int:
    """How many cells of the same credential are still in trouble, as far as this route was told."""
    if message.news != News.RECOVERY:
        return 0
    return route.told_cells.filter(credential=message.credential, namespace__cluster=message.cluster_id).count()
