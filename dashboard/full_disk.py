"""A disk without space: said in a sentence by every command, whichever of them meets it."""

from __future__ import annotations

import errno
from typing import Final

#: PostgreSQL's code for it (Appendix A of its manual, class 53).
_DISK_FULL: Final = "53100"
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
DATABASE: Final = "The database has no space left."
#: SQLite says no more when there is no room for the files beside its own, of which opening makes one.
DATABASE_DISK: Final = "The database cannot use its disk, which is full or damaged."


def found(error: BaseException) -> str:
    """What is full, as a sentence; "" when `error` tells of any other trouble."""
    if isinstance(error, OSError):
        where = f" for {error.filename}" if error.filename else ""
        return f"The disk has no space left{where}." if error.errno in _NO_SPACE else ""
    # Django's errors have the database's own as their cause.
    cause = error.__cause__ or error
    name: str = getattr(cause, "sqlite_errorname", "")
    if name.startswith("SQLITE_IOERR"):
        return DATABASE_DISK
    is_full = name == "SQLITE_FULL" or getattr(cause, "sqlstate", "") == _DISK_FULL
    return DATABASE if is_full else ""


def advice(error: BaseException) -> str:
    """What is full, and what to do, for a command that does all or nothing; "" as `found`."""
    told = found(error)
    return told and f"{told} Free some on that disk (df shows how full it is), then run this again."
