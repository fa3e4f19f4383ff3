"""manage.py rotatekeys: encrypt every stored secret anew, with the first of CREDBOARD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.encryption import CannotDecrypt, encrypted_columns, rotated


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret anew with the first key of CREDBOARD_ENCRYPTION_KEYS. After it ends well, the"
        " other keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for model, column in encrypted_columns():
            done, failed = _rotate(model, column)
            name = f"{model._meta.verbose_name} ({column})"
            self.stdout.write(f"{name}: {done} encrypted with the first key" + (f", {failed} failed" if failed else ""))
            lost += failed
        if lost:
            raise CommandError(
                f"{lost} could not be decrypted with any key, and stand as they were. Add the key that they were"
                " encrypted with to CREDBOARD_ENCRYPTION_KEYS (if it was a CREDBOARD_SECRET_KEY, to"
                " CREDBOARD_SECRET_KEY_FALLBACKS) and run this again, or enter them again in Settings."
            )


def _rotate(model: Any, column: str) -> tuple[int, int]:
    done = failed = 0
    rows = model._default_manager.exclude(**{column: b""}).exclude(**{column: None})
    for pk, value in rows.values_list("pk", column).iterator():
        try:
            new = rotated(value)
        except CannotDecrypt:
            failed += 1
            continue
        # Only over what was read: a value that someone enters meanwhile is encrypted with the first key already.
        done += model._default_manager.filter(pk=pk, **{column: value}).update(**{column: new})
    return done, failed
