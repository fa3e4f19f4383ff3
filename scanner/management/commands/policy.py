"""`manage.py policy`: checks a policy file and says what it means."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from scanner.policy import Policy
from scanner.policy_file import BadPolicy, read_policy
from scanner.policy_words import policy_words


class Command(BaseCommand):
    help = "Check a policy file and print what it means. Exit status: 0 it can be used, 1 it cannot."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="as CREDBOARD_POLICY_FILE would name it")

    def handle(self, *, file: str, **options: object) -> None:
        policy = load(file)
        for line in policy_words(policy, now=datetime.now(UTC)):
            self.stdout.write(line)


def load(file: str) -> Policy:
    """The policy in `file`. Raises CommandError in words for who typed its name."""
    try:
        return read_policy(Path(file).read_text(encoding="utf-8"), name=file)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {getattr(error, 'strerror', '') or 'it is not UTF-8'}.") from None
    except BadPolicy as error:
        raise CommandError(str(error)) from None
