"""PostgreSQL as the ledger's database, where several hosts share their caps. Imported when first needed."""

import os
import select
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .errors import LedgerError
from .storage import WAIT, Database


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    def execute(self, query: Any, params: Any = (), **_: Any) -> psycopg.Cursor[tuple[Any, ...]]:  # noqa: ANN401
        return super().execute(query.replace("?", "%s"), params)


class Postgres(Database):
    """Always in worker threads, a connection each: an event loop must not wait for a server."""

    lock = " FOR UPDATE"
    lock_all = "SELECT pg_advisory_xact_lock(7236017413)"  # any number that nobody else takes
    append_only = (
        """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'rows are only added'; END $$""",
        """CREATE TRIGGER {0}_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {0}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    )
    _begin, _begin_reading = "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    _errors = (psycopg.Error,)
    _threads = 4

    def __init__(self, url: str) -> None:
        try:
            conninfo_to_dict(url)
        except psycopg.Error:
            url = ""
        if not url or url.count("@") > 1:  # the driver's own words would show parts of the password
            raise LedgerError("PostgreSQL: not a valid URL; special characters of a password are written as %XX")
        self._url = url
        super().__init__("PostgreSQL")

    async def call[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in a worker thread. Once begun it ends, even if its task is cancelled."""
        return await self._work(partial(function, *args, **kwargs))

    def owner_is_dead(self, owner: str) -> bool:
        """Tell whether the session of an `owner` has ended."""
        with self.transaction() as execute:
            return bool(execute("SELECT pg_try_advisory_xact_lock_shared(?)", (_key(owner),)).fetchone()[0])

    def _show_life(self, owner: str) -> _Connection:
        connection = self._connect()
        try:
            connection.execute("SELECT pg_advisory_lock(?)", (_key(owner),))
        except psycopg.Error as error:
            connection.close()
            raise self._failure(error) from error
        return connection

    def _connect(self) -> _Connection:
        limit = WAIT * 1000
        alive: dict[str, Any] = {"keepalives_idle": WAIT, "keepalives_interval": WAIT, "tcp_user_timeout": limit}
        try:
            connection = _Connection.connect(self._url, autocommit=True, connect_timeout=WAIT, **alive)
            connection.execute(
                f"SET lock_timeout = {limit}; SET statement_timeout = {limit};"
                f" SET idle_in_transaction_session_timeout = {2 * limit}"
            )
        except psycopg.Error as error:
            raise self._failure(error) from error
        return connection

    def _batch(self, connection: _Connection) -> AbstractContextManager[object]:
        return connection.pipeline()  # two journeys to the server rather than six

    def _is_dropped(self, connection: Any) -> bool:  # noqa: ANN401
        """Tell whether an idle connection was ended from the other side: then there is something to read."""
        if connection.closed:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _wait_for_lock(self, connection: object, seconds: float) -> None:
        """Leave it to the server's own limits."""

    def _hang_up(self) -> None:
        for connection in list(self._connections.values()):  # closing is not safe while another thread reads
            with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def _failure(self, error: Exception) -> LedgerError:
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        return LedgerError(f"PostgreSQL: {' '.join(str(primary or error).split())}")  # the rest may show row content


def _key(owner: str) -> int:
    return int(owner[-15:], 16)  # 60 random bits
