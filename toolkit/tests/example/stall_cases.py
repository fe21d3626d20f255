"""Ways to make a ledger stall, as another process or a sick server does."""

import os
import signal
import sqlite3
import time
from pathlib import Path

from ai_base.llm.interaction import current_interaction

FOREVER = 3600.0
SHORT = 0.3


class Lock:
    """Another process that holds SQLite's lock."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._other = sqlite3.connect(path, isolation_level=None)

    def begin(self) -> None:
        self._other.execute("BEGIN IMMEDIATE")

    @property
    def is_on(self) -> bool:
        return self._other.in_transaction

    def end(self) -> None:
        if self.is_on:
            self._other.execute("COMMIT")

    def close(self) -> None:
        self.end()
        self._other.close()


class Freeze:
    """Stops every process of a PostgreSQL server that could answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stopped: list[int] = []

    def begin(self) -> None:
        import psycopg  # noqa: PLC0415 - may be missing

        with psycopg.connect(self.url, autocommit=True) as connection:
            clients = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchall()
            folder = connection.execute("SHOW data_directory").fetchall()[0][0]
        postmaster = int((Path(folder) / "postmaster.pid").read_text("utf-8").splitlines()[0])
        for pid in (postmaster, *(pid for [pid] in clients)):
            os.kill(pid, signal.SIGSTOP)
            self._stopped.append(pid)

    @property
    def is_on(self) -> bool:
        return bool(self._stopped)

    def end(self) -> None:
        while self._stopped:
            os.kill(self._stopped.pop(), signal.SIGCONT)

    close = end


type Stall = Lock | Freeze


def set_deadline_soon() -> None:
    """Bring the deadline of the current interaction near: until now, the machine may have been slow."""
    current_interaction().ends = time.monotonic() + SHORT
