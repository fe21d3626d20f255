"""An index in a SQLite file: vectors as float16 searched by numpy, words by FTS5."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_base.documents.cache import open_sqlite, storage_errors
from ai_base.documents.chunks import Chunk
from ai_base.documents.hashing import Vectors
from ai_base.documents.index import TABLES, Execute, Index, searchable


class SQLiteIndex(Index):
    """See `Index`. The vectors are kept in memory, some 150 MB for 100,000 of 384 dimensions."""

    schema = f"""{TABLES}
    CREATE TABLE IF NOT EXISTS chunks (
        row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, path TEXT NOT NULL, headings TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS chunks_by_path ON chunks (path);
    CREATE TABLE IF NOT EXISTS vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content = '', tokenize = 'porter unicode61');
    """
    chunk_key = "row"

    def __init__(self, path: Path, model: str, recipe: str) -> None:
        self._path = path
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._matrix: Vectors = np.empty((0, 0), np.float32)
        self._seen_version = (-1, -1)
        self._connection = open_sqlite(path)
        super().__init__(str(path), model, recipe)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Execute]:
        if self._connection.in_transaction:
            yield self._execute
            return
        with storage_errors(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield self._execute

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def _add_chunks(self, execute: Execute, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        # RETURNING would begin a savepoint for each row, at which FTS5 writes its index: 5 times as slow.
        ((last,),) = execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'chunks'")
        columns, blobs, words = [], [], []
        for row, (chunk, vector) in enumerate(zip(chunks, vectors.astype(np.float16), strict=True), last + 1):
            columns.append((row, chunk.id, chunk.path, chunk.headings, chunk.text))
            blobs.append((row, vector.tobytes()))
            words.append((row, searchable(chunk.embedded_text)))
        self._connection.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?)", columns)
        self._connection.executemany("INSERT INTO vectors VALUES (?, ?)", blobs)
        self._connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", words)

    def _delete(self, execute: Execute, path: str) -> None:
        for row, *columns in execute("SELECT row, id, path, headings, text FROM chunks WHERE path = ?", (path,)):
            text = searchable(Chunk(*columns).embedded_text)  # FTS5 keeps no copy that it could look up
            execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (row, text))
            execute("DELETE FROM vectors WHERE row = ?", (row,))
        super()._delete(execute, path)

    def _count(self, execute: Execute, term: str, most: int) -> int:
        sql = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
        return int(execute(sql, (f'"{term}"', most))[0][0])

    def _ranked(self, execute: Execute, terms: list[str], operator: str, number: int) -> list[int]:
        query = f" {operator} ".join(f'"{term}"' for term in terms)
        found = execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (query, number))
        return [row for (row,) in found]

    def _by_vector(self, execute: Execute, vector: Vectors, number: int) -> list[int]:
        self._load_vectors(execute)
        if not len(self._rows):
            return []
        scores = self._matrix @ vector
        number = min(number, len(scores))
        best = np.argpartition(-scores, number - 1)[:number]
        return [int(row) for row in self._rows[best[np.argsort(-scores[best])]]]

    def _load_vectors(self, execute: Execute) -> None:
        """Read what is new since the last search, and drop what is gone. Rows are never changed or numbered again."""
        version = (execute("PRAGMA data_version")[0][0], self._connection.total_changes)
        if version == self._seen_version:
            return
        current = np.array([row for (row,) in execute("SELECT row FROM vectors ORDER BY row")], np.int64)
        kept = np.isin(self._rows, current)
        last = int(self._rows[-1]) if len(self._rows) else -1
        position, width = int(kept.sum()), int(self._setting(execute, "dimensions"))
        matrix = np.empty((len(current), width), np.float32)
        if position:
            matrix[:position] = self._matrix[kept]
        blobs = self._connection.execute("SELECT vector FROM vectors WHERE row > ? ORDER BY row", (last,))
        for batch in batched(blobs, 1000):
            part = np.frombuffer(b"".join(blob for (blob,) in batch), np.float16).reshape(-1, width)
            matrix[position : position + len(part)] = part
            position += len(part)
        self._rows, self._matrix, self._seen_version = current, matrix, version
