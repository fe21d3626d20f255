"""Where the ledger's rows are: one SQL database, SQLite in a file or PostgreSQL, behind one small dialect."""

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from .errors import LedgerError
from .records import new_id

WAIT = 10
"""Seconds to wait at most: for a lock, for a place in line, for a server."""

CHECKPOINT = 200
"""Calls after which SQLite moves its write-ahead log into the file: milliseconds, so not in the event loop."""

type Execute = Callable[..., Any]
"""`execute(sql, parameters)` returns a cursor. A parameter is a `?`, whatever the database."""


class _BusyError(LedgerError):
    """Another process has locked the database."""


class Database:
    """SQLite. A connection for each thread, whole transactions or none, and a sign of life that others can see."""

    lock = ""  # ends a SELECT whose rows must not change before its transaction has ended
    lock_all = "SELECT 1"  # keeps other processes from migrating: here, the transaction itself does
    append_only = (
        "CREATE TRIGGER {0}_update BEFORE UPDATE ON {0} BEGIN SELECT RAISE(ABORT, 'rows are only added'); END",
        "CREATE TRIGGER {0}_delete BEFORE DELETE ON {0} BEGIN SELECT RAISE(ABORT, 'rows are only added'); END",
    )
    _begin, _begin_reading = "BEGIN IMMEDIATE", "BEGIN"
    _errors: tuple[type[Exception], ...] = (sqlite3.Error, OverflowError)
    _threads = 1

    def __init__(self, place: str) -> None:
        self._place = place
        self._start()
        _databases.add(self)

    def _start(self) -> None:
        self._connections: dict[threading.Thread, Any] = {}
        self._workers = ThreadPoolExecutor(self._threads, "ledger")
        self._guard, self._owner, self._calls = threading.Lock(), "", count(1)
        self._sign: Any = None
        self._patience = threading.local()  # how many seconds this thread waits for a lock
        self._waits: dict[object, float] = {}  # and what its connection was told

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Execute]:
        """Commit what the block does; undo it if it raises. `read_only` sees one moment, and locks nobody out.

        Raises:
            LedgerError: The database is gone, full, locked for too long, or refuses a value.
        """
        connection = self._connection()
        self._wait_for_lock(connection, getattr(self._patience, "seconds", WAIT))
        try:
            with self._batch(connection):
                connection.execute(self._begin_reading if read_only else self._begin)
                yield connection.execute
                connection.execute("COMMIT")
        except BaseException as error:
            with suppress(*self._errors):
                connection.rollback()
            if isinstance(error, self._errors):
                raise self._failure(error) from error
            raise

    async def call[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function without blocking the event loop. Once begun it ends, even if its task is cancelled."""
        if next(self._calls) % CHECKPOINT == 0:
            self._workers.submit(self._checkpoint)
        with suppress(_BusyError):
            self._patience.seconds = 0.0
            try:  # here: a change of threads takes longer than a transaction
                return function(*args, **kwargs)
            finally:
                self._patience.seconds = WAIT
        return await self._work(partial(function, *args, **kwargs))

    async def _work[R](self, function: Callable[[], R]) -> R:
        job = partial(self._in_time, function, time.monotonic() + WAIT)
        future = asyncio.get_running_loop().run_in_executor(self._workers, job)
        cancelled = None
        while not future.done():
            try:
                if not (await asyncio.wait([future], timeout=2 * WAIT))[0]:
                    self._hang_up()
            except asyncio.CancelledError as error:  # passed on once it is certain what was booked
                cancelled = error
        if cancelled:
            future.exception()  # seen: nobody else will look
            raise cancelled
        return future.result()

    def _in_time[R](self, function: Callable[[], R], deadline: float) -> R:
        if (left := deadline - time.monotonic()) <= 0:
            raise LedgerError(f"{self._place}: no turn within {WAIT} s")
        self._patience.seconds = left
        return function()

    def _connection(self) -> Any:  # noqa: ANN401 - of either driver
        thread = threading.current_thread()
        if (connection := self._connections.get(thread)) is None or self._is_dropped(connection):
            for other in [other for other in list(self._connections) if other is thread or not other.is_alive()]:
                self._connections.pop(other).close()
            connection = self._connections[thread] = self._connect()
        return connection

    def _failure(self, error: Exception) -> LedgerError:
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        return (_BusyError if busy else LedgerError)(f"{self._place}: {' '.join(str(error).split())}")

    @property
    def owner(self) -> str:
        """Marks the rows that others must settle when this process dies."""
        with self._guard:
            if self._sign is None or self._is_dropped(self._sign):
                self._owner = new_id()
                self._sign = self._show_life(self._owner)
            return self._owner

    def close(self) -> None:
        """Finish what is under way, then close every thread's connection."""
        self._workers.shutdown()
        for connection in [*self._connections.values(), *[self._sign] * bool(self._sign)]:
            connection.close()
        self._start()

    def after_fork(self) -> None:
        """Begin anew in a child process."""
        _parents.append(vars(self).copy())  # kept, not closed: that would end the parent's sessions
        if self._sign is not None:
            os.close(self._sign.fileno())  # or the parent would seem to live as long as its child
        self._start()

    # ---- What another database does otherwise ----

    def owner_is_dead(self, owner: str) -> bool:
        """Tell whether the process of an `owner` has ended, or closed its database."""
        try:
            with Path(f"{self._place}.owners", owner).open("rb") as sign:
                fcntl.flock(sign, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(sign.name).unlink(missing_ok=True)
        except OSError as error:
            return isinstance(error, FileNotFoundError)
        return True

    def _show_life(self, owner: str) -> Any:  # noqa: ANN401
        path = Path(f"{self._place}.owners", owner)
        try:
            path.parent.mkdir(exist_ok=True)
            return _Sign(path)
        except OSError as error:
            raise self._failure(error) from error

    def _connect(self) -> Any:  # noqa: ANN401
        connection = None
        try:
            Path(self._place).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._place, timeout=WAIT, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 10000")  # pages: seldom before our own, see `call`
            connection.execute("PRAGMA synchronous = NORMAL")  # when the power fails, the last moments may be lost
        except (sqlite3.Error, OSError) as error:
            if connection:
                connection.close()
            raise self._failure(error) from error
        return connection

    def _batch(self, _connection: Any) -> AbstractContextManager[object]:  # noqa: ANN401
        return nullcontext()

    def _is_dropped(self, _connection: object) -> bool:
        return False

    def _wait_for_lock(self, connection: sqlite3.Connection, seconds: float) -> None:
        if self._waits.get(connection) != seconds:
            connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
            self._waits[connection] = seconds

    def _checkpoint(self) -> None:
        with suppress(LedgerError, *self._errors):
            self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _hang_up(self) -> None:
        """A file has no other end."""


class _Sign:
    """A file that is locked as long as its process lives, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, os.open(path, os.O_CREAT | os.O_EXCL)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def connect(url: str) -> Database:
    """Name `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `postgresql://user:password@host/name`.

    The first transaction connects. No message shows the password.

    Raises:
        LedgerError: The URL is none of these, or the driver is missing.
    """
    scheme, _, path = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        try:
            from .postgres import Postgres  # noqa: PLC0415 - needs an extra
        except ImportError:
            raise LedgerError("PostgreSQL needs its driver: uv sync --extra postgres") from None
        return Postgres(url)
    if scheme == "sqlite" and path.startswith("/") and path not in ("/", "/:memory:"):
        return Database(str(Path(path[1:]).absolute()))
    raise LedgerError("the ledger's URL has to be sqlite:///file.db or postgresql://user:password@host/name")


_databases = weakref.WeakSet[Database]()
_parents: list[dict[str, Any]] = []


def _after_fork() -> None:
    for database in list(_databases):
        database.after_fork()


os.register_at_fork(after_in_child=_after_fork)
