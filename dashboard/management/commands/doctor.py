"""`manage.py doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from dashboard.doctor import Advice, Level, examine


class Command(BaseCommand):
    help = (
        "Look at settings, database, broker, workers, beat, clusters and mail, and say what to do. "
        "Exit status 1 when there is a problem."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("text", "json"), default="text", help="(default %(default)s)")

    def handle(self, *, format: str, **options: Any) -> None:
        found = []
        for advice in examine(now=timezone.now()):
            found.append(advice)
            if format == "text":
                self.stdout.write(_line(advice))
                self.stdout.flush()
        counts = Counter(advice.level for advice in found)
        if format == "json":
            told = {"ok": not counts[Level.PROBLEM], "advice": [asdict(advice) for advice in found]}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
            self.stdout.write(f"\nProblems: {problems}. Warnings: {warnings}.")
        if counts[Level.PROBLEM]:
            sys.exit(1)


def _line(advice: Advice) -> str:
    line = f"{advice.level:8} {advice.about}: {advice.found}"
    if not advice.remedy:
        return line
    first, *more = advice.remedy.splitlines()
    return "\n".join([f"{line}", f"{'':8} → {first}", *(f"{'':10} {one}" for one in more)])
