"""What the database knows about its own tables."""

from __future__ import annotations

from django.db import connection

#: Rows that SQLite looks at for each index: enough to choose between indexes, and milliseconds whatever the size.
ROWS_LOOKED_AT = 400


def refresh_statistics() -> None:
    """Have SQLite look at its tables, or it joins the matrix in the wrong order. PostgreSQL does so by itself."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {ROWS_LOOKED_AT}")
            cursor.execute("ANALYZE")
