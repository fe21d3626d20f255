"""PostgreSQL as the ledger's database, where several hosts share their caps. Imported when first needed."""

import asyncio
import math
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ai_base.llm.errors import LedgerError, LLMError
from ai_base.llm.ledger import database
from ai_base.llm.ledger.database import Database, Execute, LostConnectionError, Row

CONNECTIONS = 4
"""Most at a time: transactions lock the same few rows, so more of them would only wait for each other."""
LOST = (None, "40P01", "57P01", "57P02")
"""SQL states after which a new connection may work: no state, deadlock, administrator's shutdown, crash."""

type _Connection = psycopg.AsyncConnection[Row]


class Postgres(Database):
    """A pool of a few connections. A connection is closed after any error but a refusal."""

    exclusive = "SELECT pg_advisory_xact_lock(7236017413)"  # any number that no other application uses
    clustered = ""
    append_only = (
        """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'TRUNCATE' OR NOT EXISTS (SELECT 1 FROM pruning) THEN RAISE 'rows are only added'; END IF;
            RETURN NULL;
        END $$""",
        """CREATE TRIGGER {0}_change AFTER UPDATE OR DELETE OR TRUNCATE ON {0}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    )

    def __init__(self, url: str) -> None:
        super().__init__()
        self._hung_until = 0.0
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)
        try:
            self._conninfo = conninfo_to_dict(url)
        except psycopg.Error:
            self._conninfo = {}
        if not self._conninfo or url.count("@") > 1:  # the driver's message would show parts of the password
            raise LedgerError("PostgreSQL: not a valid URL; special characters of a password are written as %XX")

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Execute]:
        """Commit what the block does; roll back if it raises (see `Database`)."""
        async with self._connection() as connection:
            execute = partial(self._run, connection)
            await execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else "BEGIN")
            try:
                yield execute
            except LLMError:  # a refusal: the connection is sound
                await execute("ROLLBACK")
                raise
            await execute("COMMIT")

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute one statement as a transaction of its own (see `Database`)."""
        async with self._connection() as connection:
            return await self._run(connection, sql, parameters)

    async def close(self) -> None:
        """Close every connection."""
        while self._idle:
            await self._idle.pop().close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """Take a connection from the pool; put it back unless something failed on it."""
        self.check_caller()
        # The wait for a slot needs no limit of its own: after a hang-up, every caller in the queue gets an error.
        async with self._slots:
            if time.monotonic() < self._hung_until:
                raise LedgerError("PostgreSQL: the server did not answer a moment ago")
            try:
                connection = await self._find_connection()
                sound = False
                try:
                    yield connection
                    sound = True
                except LLMError:
                    sound = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
                    raise
                finally:
                    if sound:
                        self._idle.append(connection)
                    else:
                        await connection.close()
            except (psycopg.Error, OSError, ValueError) as error:
                raise _ledger_error(error) from error

    async def _find_connection(self) -> _Connection:
        """Return an idle connection that the server has not closed, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            if not poll.poll(0):  # readable while idle: the server has closed it
                return connection
            await connection.close()
        limit = int(database.WAIT * 1000)
        options = f"{self._conninfo.get('options', '')} -c lock_timeout={limit} -c statement_timeout={limit}"
        parameters: dict[str, Any] = {**self._conninfo, "options": options}
        parameters["connect_timeout"] = math.ceil(database.WAIT)
        return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)

    async def _run(self, connection: _Connection, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Execute a statement. After a time-out or a cancellation the connection is dropped at once.

        The driver itself would ask the server to cancel the statement, and wait seconds for a server that hangs.
        """
        statement = _fetch(connection, sql, parameters)
        task = asyncio.Task(statement, loop=asyncio.get_running_loop(), eager_start=True)
        try:
            await asyncio.wait([task], timeout=1.5 * database.WAIT)
        except asyncio.CancelledError:
            task.add_done_callback(_ignore_outcome)
            _shut_down(connection)
            await asyncio.wait([task])
            raise
        if not task.done():
            self._hung_until = time.monotonic() + database.WAIT
            _shut_down(connection)
        return await task


async def _fetch(connection: _Connection, sql: str, parameters: Sequence[object]) -> list[Row]:
    cursor = await connection.execute(sql.replace("?", "%s").encode(), parameters)
    return await cursor.fetchall() if cursor.description else []


def _shut_down(connection: _Connection) -> None:
    """Shut the socket down, so that whatever waits for it fails at once."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _ignore_outcome(task: asyncio.Task[list[Row]]) -> None:
    if not task.cancelled():
        task.exception()


def _ledger_error(error: Exception) -> LedgerError:
    """Translate an error of the driver. Only the primary message is used: details may show a row."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    message = " ".join((primary or str(error)).split())
    is_lost = isinstance(error, psycopg.OperationalError) and error.sqlstate in LOST
    return LostConnectionError(f"PostgreSQL: {message}") if is_lost else LedgerError(f"PostgreSQL: {message}")
