"""A route's `Collector`, loaded from rows and saved to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dashboard.alerting.damping import News
from dashboard.alerting.grouping import COLLECT, Change, Collector, Entry, Group
from dashboard.models import AlertItem, AlertMessage, AlertRoute, ToldCell
from scanner.models import Namespace


class Desk:
    """What one route knows of `namespaces` (pks), and the messages that collect for it."""

    def __init__(self, route: AlertRoute, namespaces: Iterable[int]) -> None:
        self.route = route
        told = route.told_cells.filter(namespace__in=namespaces)
        self._told = {(one.namespace_id, one.credential): one for one in told}
        self._messages = {group_of_row(one): one for one in route.messages.collecting()}
        entries: dict[Group, list[Entry]] = {}
        for item in (
            AlertItem.objects.filter(message__in=self._messages.values()).select_related("message").order_by("pk")
        ):
            entries.setdefault(group_of_row(item.message), []).append(entry_of_row(item))
        self._before = {entry.pk: entry.over_at for found in entries.values() for entry in found}
        self.collector = Collector(
            wishes=route.wishes, told={cell: one.told for cell, one in self._told.items()}, entries=entries
        )

    def concerns(self, namespace: Namespace, credential: str, owners: list[str]) -> bool:
        """Also a cell that the route was told of: whatever its labels are now, the end is wanted."""
        return (namespace.pk, credential) in self.collector.told or self.route.concerns(
            namespace, credential, owners=owners
        )

    def save(self, *, now: datetime) -> None:
        self._save_told()
        for group, entries in self.collector.entries.items():
            fresh = [entry for entry in entries if entry.pk is None]
            if fresh:
                message = self._messages.get(group) or self._open(group, due_at=now + COLLECT)
                AlertItem.objects.bulk_create(_item(self.route, message, entry) for entry in fresh)
            for entry in entries:
                if entry.pk is not None and self._before[entry.pk] != entry.over_at:
                    ended = {"over_at": entry.over_at, "over_by": entry.over_by, "is_well": entry.is_well}
                    AlertItem.objects.filter(pk=entry.pk).update(**ended)

    def _save_told(self) -> None:
        told = self.collector.told
        changed = []
        for (namespace, credential), one in told.items():
            row = self._told.get((namespace, credential))
            if row is None or row.told != one:
                row = row or ToldCell(route=self.route, namespace_id=namespace, credential=credential)
                row.status, row.reason = one.status, one.reason
                row.changed_at, row.is_flapping = one.changed_at, one.is_flapping
                changed.append(row)
        ToldCell.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["route", "namespace", "credential"],
            update_fields=["status", "reason", "changed_at", "is_flapping"],
        )
        gone = [row.pk for cell, row in self._told.items() if cell not in told]
        ToldCell.objects.filter(pk__in=gone).delete()

    def _open(self, group: Group, *, due_at: datetime) -> AlertMessage:
        return AlertMessage.objects.create(
            route=self.route,
            cluster_id=group.cluster,
            credential=group.credential,
            news=group.news,
            status=group.status,
            reason=group.reason,
            due_at=due_at,
        )


def group_of_row(message: AlertMessage) -> Group:
    return Group(
        cluster=message.cluster_id,
        credential=message.credential,
        news=News(message.news),
        status=message.status,
        reason=message.reason,
    )


def entry_of_row(item: AlertItem) -> Entry:
    change = Change(
        key=item.transition,
        acknowledgement=item.acknowledgement,
        cluster=item.message.cluster_id,
        namespace=item.namespace_id,
        credential=item.credential,
        at=item.at,
        status=item.status,
        reason=item.reason,
    )
    return Entry(change=change, over_at=item.over_at, over_by=item.over_by, is_well=item.is_well, pk=item.pk)


def _item(route: AlertRoute, message: AlertMessage, entry: Entry) -> AlertItem:
    return AlertItem(
        route=route,
        message=message,
        namespace_id=entry.change.namespace,
        credential=entry.change.credential,
        transition=entry.change.key,
        acknowledgement=entry.change.acknowledgement,
        at=entry.change.at,
        status=entry.change.status,
        reason=entry.change.reason,
        over_at=entry.over_at,
        over_by=entry.over_by,
        is_well=entry.is_well,
    )
