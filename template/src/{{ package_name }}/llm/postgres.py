"""PostgreSQL as the ledger's database, where several hosts share their caps. Imported when first needed."""

import asyncio
import math
import os
import select
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from . import database
from .errors import LedgerError, LLMError

CONNECTIONS = 4
"""Most at a time: transactions lock the same few rows, so more of them would only wait for each other."""
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


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
        async with self._turns:
            try:
                connection, sound = await self._connected(), False
                try:
                    await connection.run(_BEGIN_READING if read_only else "BEGIN")
                    yield connection.run
                    await connection.run("COMMIT")
                    sound = True
                except LLMError:  # a refusal
                    await connection.run("ROLLBACK")
                    sound = True
                    raise
                finally:
                    if sound:
                        self._idle.append(connection)
                    else:
                        await connection.close()
            except (psycopg.Error, OSError) as error:
                told = getattr(getattr(error, "diag", None), "message_primary", None)  # the rest may show a row
                raise LedgerError(f"PostgreSQL: {' '.join((told or str(error)).split())}") from error

    async def close(self) -> None:
        """As of the base class."""
        while self._idle:
            await self._idle.pop().close()

    async def _connected(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            (poll := select.poll()).register(connection, select.POLLIN)
            if not poll.poll(0):  # a connection that the server ended has that to tell
                return connection
            await connection.close()
        limit, names = int(database.WAIT * 1000), ("lock_timeout", "statement_timeout")
        options = " ".join([str(self._given.get("options", "")), *(f"-c {name}={limit}" for name in names)])
        given: dict[str, Any] = {**self._given, "connect_timeout": math.ceil(database.WAIT), "options": options}
        return await _Connection.connect(**given, autocommit=True)


class _Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    async def run(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement; a server that does not answer is given up."""
        timer = asyncio.get_running_loop().call_later(2 * database.WAIT, self._hang_up)
        try:
            cursor = await self.execute(sql.replace("?", "%s").encode(), parameters)
            return await cursor.fetchall() if cursor.description else []
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        with suppress(OSError), socket.socket(fileno=os.dup(self.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
