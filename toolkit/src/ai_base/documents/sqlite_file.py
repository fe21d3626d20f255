"""Opens SQLite files that threads and processes share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ai_base.documents.errors import IndexStorageError


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a file, readable for its owner only; create it and its folder where they are missing.

    Raises:
        IndexStorageError: The file cannot be opened, or is no database.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
    return connection


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into an `IndexStorageError` that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise IndexStorageError(f"{path}: {error}") from error
