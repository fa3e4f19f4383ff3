"""`manage.py watch`: have Namespaces scanned again as soon as something changes in them."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management import BaseCommand

from scanner.watch import Watcher


class Command(BaseCommand):
    help = (
        "Watch all clusters that are scanned, and have a Namespace scanned as soon as something changes in it, rather "
        "than at the next interval. Scans at intervals go on, and find what this misses. Ends with SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--alive-file", type=Path, metavar="FILE", help="touched every few seconds, for a health check"
        )

    def handle(self, *, alive_file: Path | None, **options: Any) -> None:
        watcher = Watcher(turned=lambda: _touch(alive_file))

        def stop(_signal: int, _frame: FrameType | None) -> None:
            watcher.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        watcher.run()


def _touch(file: Path | None) -> None:
    """A file system that refuses is a matter of the check, not of the work."""
    if file is not None:
        try:
            file.touch()
        except OSError:
            return
