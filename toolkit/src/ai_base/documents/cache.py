"""SQLite files that threads and processes share, and in one of them the embeddings that were paid for."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ai_base.documents.errors import IndexStorageError
from ai_base.documents.hashing import Vectors


class EmbeddingCache:
    """Vectors by the hash of model, dimensions, kind of input and text."""

    def __init__(self, path: Path) -> None:
        self._path, self._connection = path, open_sqlite(path)
        with storage_errors(path):
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            )

    @staticmethod
    def key(space: str, input_type: str, text: str) -> bytes:
        """Return a text's key. `space` names model and dimensions."""
        return hashlib.sha256(f"{space}\0{input_type}\0{text}".encode()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors that are there."""
        sql = "SELECT vector FROM embeddings WHERE key = ?"
        with storage_errors(self._path):
            found = {key: row for key in keys if (row := self._connection.execute(sql, (key,)).fetchone())}
        return {key: np.frombuffer(row[0], np.float16).astype(np.float32) for key, row in found.items()}

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors."""
        rows = [(key, vector.astype(np.float16).tobytes()) for key, vector in vectors.items()]
        with storage_errors(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a file, readable for its owner only; create it and its folder where they are missing.

    Raises:
        IndexStorageError: The file cannot be opened, or is no database.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 5000"  # pages
            )
        except sqlite3.Error:
            connection.close()
            raise
    return connection


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into an `IndexStorageError` that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise IndexStorageError(f"{path}: {error}") from error
