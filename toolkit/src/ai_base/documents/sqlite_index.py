"""An index in a SQLite file: vectors as float16 searched by numpy, words by FTS5. Shared by threads and processes."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import batched
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ai_base.documents.chunks import Chunk
from ai_base.documents.errors import EmbeddingError, IndexMismatchError, IndexStorageError
from ai_base.documents.hashing import Vectors
from ai_base.documents.index import IndexStatus, Passage, fuse, search_terms, searchable
from ai_base.documents.repository import Known

RANKED_SHARE, RANKED_ROWS = 0.05, 5000
"""Most chunks that a search by words ranks: this share, or this number. The rarest words are searched first."""
CANDIDATES = 50
"""Of each ranking that are merged."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    path TEXT PRIMARY KEY, etag TEXT NOT NULL, digest TEXT NOT NULL, recipe TEXT NOT NULL, problem TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS chunks (
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, path TEXT NOT NULL, headings TEXT NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_by_path ON chunks (path);
CREATE TABLE IF NOT EXISTS vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content = '', tokenize = 'porter unicode61');
"""


class SQLiteIndex:
    """See `Index`. `recipe` names how documents are cut; where it differs, they are indexed again."""

    def __init__(self, path: Path, model: str, recipe: str) -> None:
        self._path, self._recipe = path, recipe
        self._lock = threading.RLock()
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._matrix: Vectors = np.empty((0, 0), np.float32)
        self._seen_version = (-1, -1)
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("INSERT OR IGNORE INTO settings VALUES ('model', ?)", (model,))
        self._model = self._setting("model")
        if self._model != model:
            self.close()
            raise IndexMismatchError(str(path), self._model, model)

    def known(self) -> dict[str, Known]:
        """Return what is remembered of each document (see `Index`)."""
        with self._transaction("BEGIN"):
            rows = self._connection.execute("SELECT path, etag, digest, recipe FROM documents").fetchall()
        return {
            path: Known(etag, digest) if recipe == self._recipe else Known("", "")
            for path, etag, digest, recipe in rows
        }

    def replace(self, path: str, known: Known, chunks: Sequence[Chunk], vectors: Vectors, problem: str = "") -> None:
        """Put a document in the place of its earlier version (see `Index`).

        Raises:
            EmbeddingError: The number or the dimensions of the vectors are wrong.
        """
        if len(chunks) != len(vectors):
            raise EmbeddingError(f"{path}: {len(vectors)} vectors for {len(chunks)} chunks")
        with self._transaction():
            self._delete(path)
            if chunks:
                self._check_dimensions(vectors.shape[1])
            row = (path, known.etag, known.digest, self._recipe, problem)
            self._connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", row)
            for chunk, vector in zip(chunks, vectors.astype(np.float16), strict=True):
                added = self._connection.execute(
                    "INSERT INTO chunks (id, path, headings, text, start) VALUES (?, ?, ?, ?, ?)",
                    (chunk.id, path, chunk.headings, chunk.text, chunk.start),
                )
                self._connection.execute("INSERT INTO vectors VALUES (?, ?)", (added.lastrowid, vector.tobytes()))
                text = searchable(chunk.embedded_text)
                self._connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (added.lastrowid, text))

    def touch(self, path: str, known: Known) -> None:
        """Note a new ETag of an unchanged document (see `Index`)."""
        with self._transaction():
            self._connection.execute("UPDATE documents SET etag = ? WHERE path = ?", (known.etag, path))

    def remove(self, path: str) -> None:
        """Delete a document (see `Index`)."""
        with self._transaction():
            self._delete(path)

    def search(self, question: str, vector: Vectors, limit: int, vector_weight: float = 1.0) -> list[Passage]:
        """Return the best passages (see `Index`)."""
        with self._transaction("BEGIN"):
            self._load_vectors()
            number = max(limit, CANDIDATES)
            ranked = fuse(self._search_words(question, number), self._search_vectors(vector, number), vector_weight)
            return [Passage(self._chunk(row), score) for row, score in ranked[:limit]]

    def status(self) -> IndexStatus:
        """Return what the index holds (see `Index`)."""
        with self._transaction("BEGIN"):
            (documents,) = self._connection.execute("SELECT count(*) FROM documents").fetchone()
            (chunks,) = self._connection.execute("SELECT count(*) FROM chunks").fetchone()
            problems = self._connection.execute("SELECT path, problem FROM documents WHERE problem != ''").fetchall()
        return IndexStatus(documents, chunks, self._model, int(self._setting("dimensions") or 0), dict(problems))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # ---- Inside of a transaction ----

    def _delete(self, path: str) -> None:
        found = self._connection.execute(
            "SELECT row, id, path, headings, text, start FROM chunks WHERE path = ?", (path,)
        )
        for row, *columns in found.fetchall():
            text = searchable(Chunk(*columns).embedded_text)
            self._connection.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (row, text))
            self._connection.execute("DELETE FROM vectors WHERE row = ?", (row,))
        self._connection.execute("DELETE FROM chunks WHERE path = ?", (path,))
        self._connection.execute("DELETE FROM documents WHERE path = ?", (path,))

    def _check_dimensions(self, got: int) -> None:
        self._connection.execute("INSERT OR IGNORE INTO settings VALUES ('dimensions', ?)", (str(got),))
        if self._setting("dimensions") != str(got):
            raise EmbeddingError(f"vectors of {got} dimensions for an index of {self._setting('dimensions')}")

    def _search_words(self, question: str, number: int) -> list[int]:
        terms = [f'"{term}"' for term in search_terms(question)]
        left = most = max(RANKED_ROWS, int(len(self._rows) * RANKED_SHARE))
        count = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
        chosen = []
        for matches, term in sorted((self._connection.execute(count, (t, most + 1)).fetchone()[0], t) for t in terms):
            left -= matches
            if left >= 0:
                chosen.append(term)
        query = " OR ".join(chosen) or " AND ".join(terms)
        if not query:
            return []
        ranked = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        return [row for (row,) in self._connection.execute(ranked, (query, number))]

    def _search_vectors(self, vector: Vectors, number: int) -> list[int]:
        if not len(self._rows):
            return []
        if vector.shape != (self._matrix.shape[1],):
            raise EmbeddingError(f"a question of {vector.size} dimensions for an index of {self._matrix.shape[1]}")
        scores = self._matrix @ vector
        number = min(number, len(scores))
        best = np.argpartition(-scores, number - 1)[:number]
        return [int(row) for row in self._rows[best[np.argsort(-scores[best])]]]

    def _load_vectors(self) -> None:
        """Read what is new since the last search, and drop what is gone. Rows are never changed or numbered again."""
        (others,) = self._connection.execute("PRAGMA data_version").fetchone()
        version = (others, self._connection.total_changes)
        if version == self._seen_version:
            return
        current = [row for (row,) in self._connection.execute("SELECT row FROM vectors ORDER BY row")]
        kept = np.isin(self._rows, np.array(current, np.int64))
        last = int(self._rows[-1]) if len(self._rows) else -1
        added = [row for row in current if row > last]
        width = int(self._setting("dimensions") or 0)
        matrix = np.empty((int(kept.sum()) + len(added), width), np.float32)
        position = int(kept.sum())
        if position:
            matrix[:position] = self._matrix[kept]
        blobs = self._connection.execute("SELECT vector FROM vectors WHERE row > ? ORDER BY row", (last,))
        for batch in batched(blobs, 1000):
            part = np.frombuffer(b"".join(blob for (blob,) in batch), np.float16).reshape(-1, width)
            matrix[position : position + len(part)] = part
            position += len(part)
        self._rows = np.concatenate([self._rows[kept], np.array(added, np.int64)])
        self._matrix, self._seen_version = matrix, version

    def _chunk(self, row: int) -> Chunk:
        found = self._connection.execute("SELECT id, path, headings, text, start FROM chunks WHERE row = ?", (row,))
        return Chunk(*found.fetchone())

    # ---- The database ----

    def _setting(self, name: str) -> str:
        found = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        with self._lock, self._errors():
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise IndexStorageError(f"{self._path}: {error}") from error
