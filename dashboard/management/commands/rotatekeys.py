"""manage.py rotatekeys: encrypt every stored secret anew, with the first of CREDBOARD_ENCRYPTION_KEYS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from dashboard import full_disk
from dashboard.encryption import CannotDecrypt, encrypted_columns, rotated

_Outcome = Literal["done", "failed", "entered"]


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret anew with the first key of CREDBOARD_ENCRYPTION_KEYS. After it ends well, the"
        " other keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for model, column in encrypted_columns():
            name = f"{model._meta.verbose_name} ({column})"
            count: Counter[_Outcome] = Counter()
            try:
                count.update(_rotate(model, column))
            except DatabaseError as error:
                if not (full := full_disk.found(error)):
                    raise
                raise CommandError(
                    f"{full} {name}: {count['done']} encrypted with the first key before that. Nothing is lost, and "
                    "the others stand as they were: keep all keys, free some space on that disk, then run this again."
                ) from error
            failed = f", {count['failed']} failed" if count["failed"] else ""
            self.stdout.write(f"{name}: {count['done']} encrypted with the first key{failed}")
            lost += count["failed"]
        if lost:
            raise CommandError(
                f"{lost} could not be decrypted with any key, and stand as they were. Add the key that they were"
                " encrypted with to CREDBOARD_ENCRYPTION_KEYS (if it was a CREDBOARD_SECRET_KEY, to"
                " CREDBOARD_SECRET_KEY_FALLBACKS) and run this again, or enter them again in Settings."
            )


def _rotate(model: Any, column: str) -> Iterator[_Outcome]:
    rows = model._default_manager.exclude(**{column: b""}).exclude(**{column: None})
    for pk, value in rows.values_list("pk", column).iterator():
        try:
            new = rotated(value)
        except CannotDecrypt:
            yield "failed"
            continue
        # Only over what was read: a value that someone enters meanwhile is encrypted with the first key already.
        is_same = model._default_manager.filter(pk=pk, **{column: value}).update(**{column: new})
        yield "done" if is_same else "entered"
