"""Where the ledger's rows are: SQLite in a file here, PostgreSQL in `postgres`. Whole transactions or none."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

from ai_base.llm.errors import LedgerError

WAIT = 5.0
"""Seconds to wait at most: for a lock, for a server."""

type Execute = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""`await execute(sql, parameters)` returns the rows. A parameter is a `?`, whatever the database."""


class LostConnectionError(LedgerError):
    """What was under way is undone, or its end is unknown; on another connection it may work."""


def again[**P, R](job: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Do once more what can be done twice, when a connection was lost on the way."""

    @wraps(job)
    async def tried(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await job(*args, **kwargs)
        except LostConnectionError:
            return await job(*args, **kwargs)

    return tried


async def surely[R](job: Coroutine[Any, Any, R]) -> R:
    """See something through, whatever is cancelled meanwhile; a cancellation is passed on afterwards."""
    task, cancelled = asyncio.Task(job, loop=asyncio.get_running_loop(), eager_start=True), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        task.exception()  # seen
        raise cancelled
    return task.result()


class Database:
    """SQLite: one connection, used in the event loop itself, as a change of threads takes longer than a transaction.

    Nothing inside a transaction waits, so those of one process follow each other. Only for other processes one waits.
    """

    lock = ""
    """Ends a SELECT whose rows must not change before its transaction has ended."""
    exclusive = "SELECT 1"  # a transaction that writes is alone anyway
    """Keeps other processes from migrating at the same time."""
    append_only: tuple[str, ...] = (
        "CREATE TRIGGER {0}_update BEFORE UPDATE ON {0} BEGIN SELECT RAISE(ABORT, 'rows are only added'); END",
        "CREATE TRIGGER {0}_delete BEFORE DELETE ON {0} BEGIN SELECT RAISE(ABORT, 'rows are only added'); END",
    )

    def __init__(self, path: Path) -> None:
        self._path, self._process, connection = path, os.getpid(), None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 5000")  # pages: it takes 20 ms, so not too often
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last moments
            connection.execute("PRAGMA busy_timeout = 0")  # from now on, waiting must not block the loop
        except (sqlite3.Error, OSError) as error:
            if connection:
                connection.close()
            raise LedgerError(f"{path}: {error}") from error
        self._connection = connection

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Execute]:
        """Commit what the block does; undo it if it raises. `read_only` sees one moment, and locks nobody out.

        Raises:
            LedgerError: The database is gone, full, locked for too long, or refuses a value.
        """
        self._check_process()
        try:
            await self._begin("BEGIN" if read_only else "BEGIN IMMEDIATE")
            yield self._execute
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            if isinstance(error, (sqlite3.Error, OverflowError, UnicodeError)):
                raise LedgerError(f"{self._path}: {error}") from error
            raise

    async def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise LedgerError("the ledger was opened before a fork; open it in the process that uses it")

    async def _begin(self, statement: str) -> None:
        patience = time.monotonic() + WAIT
        while True:
            try:
                self._connection.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                    raise
            else:
                return
            await asyncio.sleep(random.uniform(0.0005, 0.003))  # noqa: S311 - about as long as a transaction of others

    async def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()


def connect(url: str) -> Database:
    """Open `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `postgresql://user:password@host/name`.

    PostgreSQL is first reached by a transaction. No message shows the password.

    Raises:
        LedgerError: The URL is none of these, the driver is missing, or the file cannot be used.
    """
    scheme, _, path = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        try:
            from ai_base.llm.ledger.postgres import Postgres  # noqa: PLC0415 - needs an extra
        except ImportError:
            raise LedgerError("PostgreSQL needs its driver: uv sync --extra postgres") from None
        return Postgres(url)
    if scheme == "sqlite" and path.startswith("/") and path not in ("/", "/:memory:"):
        return Database(Path(path[1:]).absolute())
    raise LedgerError("the ledger's URL has to be sqlite:///file.db or postgresql://user:password@host/name")
