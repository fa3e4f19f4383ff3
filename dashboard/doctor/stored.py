"""What is stored encrypted: can it still be read with the keys that are set?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dashboard.doctor.advice import Advice
from dashboard.encryption import CannotDecrypt, decrypt, encrypted_columns, is_of_first_key

ABOUT = "keys"


def look(now: datetime) -> Iterator[Advice]:
    readable = former = 0
    for model, column in encrypted_columns():
        lost = 0
        rows = model._default_manager.exclude(**{column: b""}).exclude(**{column: None})
        for value in rows.values_list(column, flat=True).iterator():
            try:
                decrypt(value)
            except CannotDecrypt:
                lost += 1
            else:
                readable += 1
                former += not is_of_first_key(value)
        if lost:
            yield Advice.problem(
                ABOUT,
                f"{lost} of what is stored encrypted ({model._meta.verbose_name}) cannot be read with these keys.",
                "Restore the keys that belong to this database: add them to CREDBOARD_ENCRYPTION_KEYS, a former "
                "CREDBOARD_SECRET_KEY to CREDBOARD_SECRET_KEY_FALLBACKS. Else enter these values again in Settings.",
            )
    if former:
        yield Advice.warning(
            ABOUT,
            f"{former} of what is stored is encrypted with a former key, not with the first.",
            "Run manage.py rotatekeys before that key is taken out.",
        )
    if readable:
        yield Advice.ok(ABOUT, f"They decrypt what is stored ({readable}).")
