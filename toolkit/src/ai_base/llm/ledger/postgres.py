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

CONNECTIONS = 4
"""Most at a time: transactions lock the same few rows, so more of them would only wait for each other."""
LOST = (None, "40P01", "57P01", "57P02")
"""SQL states after which another connection may do: the line broke, a deadlock, an administrator, a crash."""

type _Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Postgres(database.Database):
    """A few connections that are kept; after any trouble one is thrown away, not mended."""

    lock = " FOR UPDATE"
    exclusive = "SELECT pg_advisory_xact_lock(7236017413)"  # any number that nobody else takes
    append_only = (
        """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'rows are only added'; END $$""",
        """CREATE TRIGGER {0}_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {0}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    )

    def __init__(self, url: str) -> None:
        self._process, self._hung_until = os.getpid(), 0.0
        self._idle, self._turns = list[_Connection](), asyncio.Semaphore(CONNECTIONS)
        try:
            self._given = conninfo_to_dict(url)
        except psycopg.Error:
            self._given = {}
        if not self._given or url.count("@") > 1:  # the driver's own words would show parts of the password
            raise LedgerError("PostgreSQL: not a valid URL; special characters of a password are written as %XX")

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[database.Execute]:
        """As of the base class."""
        self._check_process()
        await self._turns.acquire()  # for as long as it takes: whoever hangs is hung up on, and then all are told
        try:
            if time.monotonic() < self._hung_until:
                raise LedgerError("PostgreSQL: the server did not answer a moment ago")
            connection, sound = await self._connected(), False
            execute = partial(self._run, connection)
            try:
                await execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else "BEGIN")
                yield execute
                await execute("COMMIT")
                sound = True
            except LLMError:  # a refusal
                await execute("ROLLBACK")
                sound = True
                raise
            finally:
                if sound:
                    self._idle.append(connection)
                else:
                    await connection.close()
        except (psycopg.Error, OSError, ValueError) as error:
            told = getattr(getattr(error, "diag", None), "message_primary", None)  # the rest may show a row
            lost = isinstance(error, psycopg.OperationalError) and error.sqlstate in LOST
            kind = database.LostConnectionError if lost else LedgerError
            raise kind(f"PostgreSQL: {' '.join((told or str(error)).split())}") from error
        finally:
            self._turns.release()

    async def close(self) -> None:
        """As of the base class."""
        while self._idle:
            await self._idle.pop().close()

    async def _connected(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            (poll := select.poll()).register(connection, select.POLLIN)
            if not poll.poll(0):  # a connection that the server ended has that to tell
                return connection
            await connection.close()
        limit, names = int(database.WAIT * 1000), ("lock_timeout", "statement_timeout")
        options = " ".join([str(self._given.get("options", "")), *(f"-c {name}={limit}" for name in names)])
        given: dict[str, Any] = {**self._given, "connect_timeout": math.ceil(database.WAIT), "options": options}
        return await psycopg.AsyncConnection.connect(**given, autocommit=True)

    async def _run(self, connection: _Connection, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement; a server that does not answer is given up."""
        timer = asyncio.get_running_loop().call_later(1.5 * database.WAIT, self._hang_up, connection)
        try:
            cursor = await connection.execute(sql.replace("?", "%s").encode(), parameters)
            return await cursor.fetchall() if cursor.description else []
        finally:
            timer.cancel()

    def _hang_up(self, connection: _Connection) -> None:
        self._hung_until = time.monotonic() + database.WAIT
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
