"""An index in PostgreSQL with pgvector, for more chunks or more hosts than one SQLite file serves."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from ai_base.documents.chunks import Chunk
from ai_base.documents.errors import IndexStorageError
from ai_base.documents.hashing import Vectors
from ai_base.documents.index import TABLES, Execute, Index, searchable

SECONDS = 60
"""Of a statement or a wait for a lock, at most."""
MOST_DIMENSIONS = 4000
"""Of the vectors that pgvector's HNSW takes; longer ones are compared one by one."""

_LOCK = "SELECT pg_advisory_xact_lock(7236017414)"  # any number that no other application uses
_TERM = "phraseto_tsquery('english', ?)"


class PostgresIndex(Index):
    """See `Index`. Threads take turns on one connection; one that was lost is replaced. Writers take turns as well.

    Words are ranked by `ts_rank`: unlike SQLite's BM25 it does not know how rare a word is, and it skips stop words.
    """

    schema = f"""{TABLES}
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE TABLE IF NOT EXISTS chunks (
        id TEXT PRIMARY KEY, path TEXT NOT NULL, headings TEXT NOT NULL, text TEXT NOT NULL,
        words TSVECTOR NOT NULL, vector HALFVEC NOT NULL
    );
    CREATE INDEX IF NOT EXISTS chunks_by_path ON chunks (path);
    CREATE INDEX IF NOT EXISTS chunks_by_words ON chunks USING gin (words);
    """
    chunk_key = "id"

    def __init__(self, url: str, model: str, recipe: str) -> None:
        self._url, self._connection = url, _connect(url)
        super().__init__("the index in PostgreSQL", model, recipe)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Execute]:
        if self._connection.info.transaction_status == TransactionStatus.INTRANS:
            yield self._execute
            return
        with _storage_errors():
            self._reconnect_if_lost()
            with self._connection.transaction():
                self._execute(_LOCK if write else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield self._execute

    def _reconnect_if_lost(self) -> None:
        try:
            self._connection.execute("")
        except psycopg.OperationalError:
            self._connection.close()
            self._connection = _connect(self._url)

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.replace("?", "%s").encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def _check_dimensions(self, execute: Execute, got: int) -> None:
        if not self._setting(execute, "dimensions") and got <= MOST_DIMENSIONS:
            execute(f"CREATE INDEX ON chunks USING hnsw ((vector::halfvec({got})) halfvec_ip_ops)")
        super()._check_dimensions(execute, got)

    def _add_chunks(self, execute: Execute, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        del execute  # it takes one row at a time
        rows = [
            (each.id, each.path, each.headings, each.text, _words(each.embedded_text), _literal(vector))
            for each, vector in zip(chunks, vectors, strict=True)
        ]
        sql = "INSERT INTO chunks VALUES (%s, %s, %s, %s, to_tsvector('english', %s), %s)"
        with self._connection.cursor() as cursor:
            cursor.executemany(sql, rows)

    def _count(self, execute: Execute, term: str, most: int) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM chunks WHERE words @@ {_TERM} LIMIT ?) AS found"  # noqa: S608
        return int(execute(sql, (_words(term), most))[0][0])

    def _ranked(self, execute: Execute, terms: list[str], operator: str, number: int) -> list[str]:
        query = {"OR": " || ", "AND": " && "}[operator].join([_TERM] * len(terms))
        sql = (
            f"SELECT id FROM chunks, (SELECT {query} AS query) AS asked WHERE words @@ query "  # noqa: S608
            "ORDER BY ts_rank(words, query, 1) DESC LIMIT ?"
        )
        return [key for (key,) in execute(sql, (*map(_words, terms), number))]

    def _by_vector(self, execute: Execute, vector: Vectors, number: int) -> list[str]:
        execute("SELECT set_config('hnsw.ef_search', ?, true)", (str(min(4 * number, 1000)),))
        execute("SELECT set_config('hnsw.iterative_scan', 'strict_order', true)")  # deleted rows are not counted
        order = f"vector::halfvec({len(vector)}) <#> ?::halfvec({len(vector)})"  # the negative inner product
        sql = f"SELECT id FROM chunks ORDER BY {order} LIMIT ?"  # noqa: S608
        return [key for (key,) in execute(sql, (_literal(vector), number))]


def _connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    limits = f"-c statement_timeout={SECONDS}s -c lock_timeout={SECONDS}s"
    with _storage_errors():
        try:
            given: dict[str, Any] = conninfo_to_dict(url)
        except psycopg.Error:  # its message would show parts of the password
            raise IndexStorageError("PostgreSQL: not a valid URL; write special characters as %XX") from None
        waits = {"connect_timeout": 10, "tcp_user_timeout": SECONDS * 1000}
        return psycopg.connect(**{**given, **waits, "options": f"{given.get('options', '')} {limits}"}, autocommit=True)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:  # details may show a row
        message = error.diag.message_primary or str(error)
        raise IndexStorageError(f"PostgreSQL: {' '.join(message.split())}") from error


def _words(text: str) -> str:
    """Return words alone: PostgreSQL's parser would take a/b for the path of a file, and a.b for a host."""
    return re.sub(r"[\W_]+", " ", searchable(text)).lower()


def _literal(vector: Vectors) -> str:
    return str(vector.astype(np.float16).tolist())
