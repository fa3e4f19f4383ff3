"""What the database knows about its own tables, and how much of them it holds in memory."""

from __future__ import annotations

from django.db import connection

#: Rows that SQLite looks at for each index: enough to choose between indexes, and milliseconds whatever the size.
ROWS_LOOKED_AT = 400

#: KiB of the file that SQLite holds in memory for a scan: the upper pages of every index, with room to spare.
HELD_BY_SCAN = 8000


def refresh_statistics() -> None:
    """Have SQLite look at its tables, or it joins the matrix in the wrong order. PostgreSQL does so by itself."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {ROWS_LOOKED_AT}")
            cursor.execute("ANALYZE")


def hold_little() -> None:
    """Have SQLite hold no more than `HELD_BY_SCAN` of its file, until this connection is closed.

    For a scan, which comes by each row once: what pages, who read the same rows again, are given for that would only
    make its process grow with the cluster. PostgreSQL holds nothing in ours.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA cache_size = -{HELD_BY_SCAN}")
