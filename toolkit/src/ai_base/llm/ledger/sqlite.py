"""SQLite as the ledger's database: one file, shared by the processes of one machine."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger import database
from ai_base.llm.ledger.database import Database, Execute, Row

_ERRORS = (sqlite3.Error, OverflowError, UnicodeError)


class SQLite(Database):
    """One connection, used in the event loop itself: a change of threads takes longer than a transaction.

    Nothing inside a transaction waits, so the transactions of one process follow each other. Only a lock of another
    process is waited for.
    """

    exclusive = "SELECT 1"  # a transaction that writes excludes others anyway
    clustered = " WITHOUT ROWID"
    append_only = (
        """CREATE TRIGGER {0}_update BEFORE UPDATE ON {0} WHEN NOT EXISTS (SELECT 1 FROM pruning)
        BEGIN SELECT RAISE(ABORT, 'rows are only added'); END""",
        """CREATE TRIGGER {0}_delete BEFORE DELETE ON {0} WHEN NOT EXISTS (SELECT 1 FROM pruning)
        BEGIN SELECT RAISE(ABORT, 'rows are only added'); END""",
    )

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        connection = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)  # readable by its owner only; SQLite gives `-wal` and `-shm` the same mode
            self._file = _identity(path)
            connection = sqlite3.connect(path, timeout=database.WAIT, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 5000")  # pages: it takes 20 ms, so not too often
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last moments
            connection.execute("PRAGMA secure_delete = ON")  # deleted texts are overwritten
            connection.execute("PRAGMA busy_timeout = 0")  # from now on, waiting must not block the loop
        except (sqlite3.Error, OSError) as error:
            if connection:
                connection.close()
            raise LedgerError(f"{path}: {error}") from error
        self._connection = connection
        self._first_in_line = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Execute]:
        """Commit what the block does; roll back if it raises (see `Database`)."""
        self._check_usable()
        try:
            await self._when_unlocked("BEGIN" if read_only else "BEGIN IMMEDIATE", ())
            yield self._execute
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            if isinstance(error, _ERRORS):
                raise LedgerError(f"{self._path}: {error}") from error
            raise

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute one statement as a transaction of its own (see `Database`)."""
        self._check_usable()
        try:
            return await self._when_unlocked(sql, parameters)
        except _ERRORS as error:
            raise LedgerError(f"{self._path}: {error}") from error

    async def checkpoint(self) -> None:
        """Empty the write-ahead log, which may hold deleted rows.

        Raises:
            LedgerError: Other processes keep the log in use.
        """
        give_up_at = time.monotonic() + database.WAIT
        while (await self.execute("PRAGMA wal_checkpoint(TRUNCATE)"))[0][0]:
            if time.monotonic() > give_up_at:
                raise LedgerError(
                    f"{self._path}: the rows are deleted, but the log, which holds copies, is in use; retry"
                )
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _check_usable(self) -> None:
        self.check_caller()
        if _identity(self._path) != self._file:
            raise LedgerError(f"{self._path}: the file was deleted or replaced while in use; restart the process")

    async def _when_unlocked(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Execute a statement that may find the database locked by another process, as often as needed.

        Of the tasks that wait, only the first asks again. A hundred that did would take the processor's time from the
        process that has the lock.
        """
        if (rows := self._unless_locked(sql, parameters)) is not None:
            return rows
        give_up_at = time.monotonic() + database.WAIT
        async with self._first_in_line:
            while (rows := self._unless_locked(sql, parameters)) is None:
                if time.monotonic() > give_up_at:
                    raise LedgerError(f"{self._path}: database is locked by other processes for {database.WAIT:g} s")
                await asyncio.sleep(random.uniform(0.0005, 0.003))  # noqa: S311 - about as long as a transaction takes
        return rows

    def _unless_locked(self, sql: str, parameters: Sequence[Any]) -> list[Row] | None:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return None

    async def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file, which differ if it was replaced; None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast as Path.stat, and this runs in each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino
