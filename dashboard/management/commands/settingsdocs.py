"""`manage.py settingsdocs`: writes docs/settings.md from the settings as they are declared."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard import env, system_checks
from dashboard.settings_docs import settings_docs


class Command(BaseCommand):
    help = "Write docs/settings.md. With --check, only say whether it is up to date (exit status 1 when it is not)."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *, check: bool, **options: object) -> None:
        folder = Path(settings.BASE_DIR) / "docs"
        if not folder.is_dir():
            raise CommandError("docs/ is not here; run this in a checkout.")
        page, target = settings_docs(env.declared(), system_checks.documented()), folder / "settings.md"
        if not check:
            target.write_text(page, encoding="utf-8")
            self.stdout.write("docs/settings.md is written.")
        elif not target.is_file() or target.read_text(encoding="utf-8") != page:
            raise CommandError(
                "docs/settings.md is not what the settings say; run manage.py settingsdocs and commit it."
            )
