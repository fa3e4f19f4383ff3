"""`manage.py prune`: forget what is older than its retention."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from dashboard import full_disk, retention


class Command(BaseCommand):
    help = (
        "Delete what is older than CREDBOARD_…_RETENTION_DAYS say, in small batches. A task does so every night; "
        "running it twice, or at once, does no harm, and nothing that is open is deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many rows would go")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        now = timezone.now()
        if dry_run:
            self._tell(retention.count(now=now), now)
            self.stdout.write("Nothing was deleted (--dry-run).")
            return
        deleted: Counter[str] = Counter()
        try:
            for what, number in retention.batches(now=now):
                deleted[what] += number
        except DatabaseError as error:
            if not (full := full_disk.found(error)):
                raise
            raise CommandError(
                f"{full} {_deleted(deleted)} All else stands as it was. Deleting needs some space itself: free some "
                "on that disk, then run this again for what is left."
            ) from error
        self._tell(deleted, now)
        self.stdout.write(_deleted(deleted))

    def _tell(self, found: Mapping[str, int], now: datetime) -> None:
        kept = {rule.what: rule.setting for rule in retention.rules(now=now)}
        width = max(map(len, found))
        for what, number in found.items():
            told = f"  ({kept[what]})" if kept[what] else ""
            self.stdout.write(f"{what:{width}}  {number:>8,}{told}")


def _deleted(found: Counter[str]) -> str:
    return "1 row was deleted." if found.total() == 1 else f"{found.total():,} rows were deleted."
