"""`manage.py prune`: forget what is older than its retention."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from dashboard import retention


class Command(BaseCommand):
    help = (
        "Delete what is older than CREDBOARD_…_RETENTION_DAYS say, in small batches. A task does so every night; "
        "running it twice, or at once, does no harm, and nothing that is open is deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many rows would go")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        now = timezone.now()
        found = retention.count(now=now) if dry_run else retention.prune(now=now)
        kept = {rule.what: rule.setting for rule in retention.rules(now=now)}
        width = max(map(len, found))
        for what, number in found.items():
            told = f"  ({kept[what]})" if kept[what] else ""
            self.stdout.write(f"{what:{width}}  {number:>8,}{told}")
        total = sum(found.values())
        done = "1 row was deleted." if total == 1 else f"{total:,} rows were deleted."
        self.stdout.write("Nothing was deleted (--dry-run)." if dry_run else done)
