"""`manage.py checkdocs`: writes docs/checks.md from the checks and their cases."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scanner.check_docs import check_docs


class Command(BaseCommand):
    help = "Write docs/checks.md. With --check, only say whether it is up to date (exit status 1 when it is not)."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *, check: bool, **options: object) -> None:
        root = Path(settings.BASE_DIR)
        files = sorted((root / "tests" / "checks").glob("[A-Z]*.yaml"))
        if not files:
            raise CommandError("The cases are not here; run this in a checkout, which has tests/checks/.")
        cases = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["cases"] for file in files}
        page, target = check_docs(cases), root / "docs" / "checks.md"
        if not check:
            target.write_text(page, encoding="utf-8")
            self.stdout.write("docs/checks.md is written.")
        elif not target.is_file() or target.read_text(encoding="utf-8") != page:
            raise CommandError("docs/checks.md is not what the checks say; run manage.py checkdocs and commit it.")
