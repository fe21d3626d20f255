"""Embeddings that were paid for, in a SQLite file. Shared by processes, and by indexes."""

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ai_base.documents.errors import IndexStorageError
from ai_base.documents.hashing import Vectors


class EmbeddingCache:
    """Vectors by the hash of model, dimensions, kind of input and text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            table = "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            self._connection.execute(table)
        except (sqlite3.Error, OSError) as error:
            raise IndexStorageError(f"{path}: {error}") from error

    @staticmethod
    def key(space: str, input_type: str, text: str) -> bytes:
        """Return a text's key. `space` names model and dimensions."""
        return hashlib.sha256(f"{space}\0{input_type}\0{text}".encode()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors that are there."""
        found = {}
        for key in keys:
            if row := self._connection.execute("SELECT vector FROM embeddings WHERE key = ?", (key,)).fetchone():
                found[key] = np.frombuffer(row[0], np.float16).astype(np.float32)
        return found

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors."""
        rows = [(key, vector.astype(np.float16).tobytes()) for key, vector in vectors.items()]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise IndexStorageError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
