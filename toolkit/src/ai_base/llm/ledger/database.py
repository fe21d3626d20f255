"""The interface between the ledger and its database: transactions that are committed as a whole or not at all."""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any

from ai_base.llm.errors import LedgerError

WAIT = 5.0
"""Seconds to wait at most for a lock or a server."""

type Row = tuple[Any, ...]
type Execute = Callable[..., Awaitable[list[Row]]]
"""`await execute(sql, parameters)` returns the rows. A parameter is a `?`, whatever the database."""


class LostConnectionError(LedgerError):
    """The connection broke. The transaction was rolled back, or its outcome is unknown; a new connection may work."""


def retry_on_lost_connection[**P, R](job: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Retry an idempotent transaction once after a lost connection."""

    @wraps(job)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await job(*args, **kwargs)
        except LostConnectionError:
            return await job(*args, **kwargs)

    return run


class Database(ABC):
    """A database of one process and one event loop."""

    exclusive: str
    """A statement that keeps other processes from migrating at the same time."""
    append_only: tuple[str, ...]
    """Statements that forbid changes to the rows of the table `{0}`, unless the table `pruning` has a row."""
    clustered: str
    """Ends a CREATE TABLE whose rows are stored in the primary key's index, if the database has such tables."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None

    @abstractmethod
    def transaction(self, *, read_only: bool = False) -> AbstractAsyncContextManager[Execute]:
        """Commit what the block does; roll back if it raises. A cancellation ends it at once.

        `read_only` reads one consistent snapshot, and locks nobody out.

        Raises:
            LedgerError: The database is gone, full, locked for too long, or refuses a value.
        """

    @abstractmethod
    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute one statement as a transaction of its own. Raises as `transaction`."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    async def checkpoint(self) -> None:
        """Remove the copies of deleted rows that the database itself keeps, such as those in a write-ahead log."""
        return

    def check_caller(self) -> None:
        """Refuse a caller in another process or event loop than the first one.

        Raises:
            LedgerError: The database was opened before a fork, or belongs to another event loop.
        """
        if os.getpid() != self._process:
            raise LedgerError("the ledger was opened before a fork; open it in the process that uses it")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise LedgerError("the ledger belongs to another event loop; open one in each thread or loop that uses it")
