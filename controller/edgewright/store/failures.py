"""What the file system and the database say, translated once into errors of the catalogue."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from edgewright_contract.errors import EdgewrightError, ErrorCode

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)

# sqlite3 primary result code -> (code, what, next step)
_SQLITE = {
    sqlite3.SQLITE_FULL: (ErrorCode.DISK_FULL, "the disk is full", "Free some space and repeat the command."),
    sqlite3.SQLITE_BUSY: (
        ErrorCode.STORE_BUSY,
        "another command holds the database",
        "Wait for it to end and repeat the command.",
    ),
    sqlite3.SQLITE_LOCKED: (
        ErrorCode.STORE_BUSY,
        "another command holds the database",
        "Wait for it to end and repeat the command.",
    ),
    sqlite3.SQLITE_READONLY: (
        ErrorCode.PERMISSION_DENIED,
        "the database cannot be written",
        "Give this user write permission, or choose another folder with --home.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        ErrorCode.PERMISSION_DENIED,
        "the database cannot be opened",
        "Give this user permission, or choose another folder with --home.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        ErrorCode.STORE_FAILED,
        "the database is damaged",
        "Restore it from a backup, or move the file away to begin with an empty one.",
    ),
    sqlite3.SQLITE_NOTADB: (
        ErrorCode.STORE_FAILED,
        "the file is not a database",
        "Restore it from a backup, or move the file away to begin with an empty one.",
    ),
}


def file_error(error: OSError, path: Path) -> EdgewrightError:
    """The catalogue's error for a failed file operation at `path`."""
    if error.errno in _FULL:
        return EdgewrightError(
            ErrorCode.DISK_FULL,
            f"the disk is full: {path} could not be written",
            "Free some space (nothing was half written) and repeat the command.",
        )
    if error.errno in _DENIED:
        return EdgewrightError(
            ErrorCode.PERMISSION_DENIED,
            f"{path}: {error.strerror}",
            "Give this user permission, or choose another folder with --home.",
        )
    return EdgewrightError(
        ErrorCode.STORE_FAILED, f"{path}: {error.strerror or error}", "Check the folder given with --home."
    )


@contextmanager
def translated_files(path: Path) -> Iterator[None]:
    """Raises DISK_FULL, PERMISSION_DENIED or STORE_FAILED for an OSError inside."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path) from error


def database_error(error: DBAPIError, where: str) -> EdgewrightError:
    """The catalogue's error for what the database's driver raised."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    entry = None if code is None else _SQLITE.get(code & 0xFF)
    if entry is None:
        return EdgewrightError(
            ErrorCode.STORE_FAILED, f"{where}: {error.orig}", "`edgewright doctor` checks the store."
        )
    return EdgewrightError(entry[0], f"{where}: {entry[1]} ({error.orig})", entry[2])
