"""Embeddings that were paid for, in a SQLite file. Shared by processes, and by indexes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ai_base.documents.hashing import Vectors
from ai_base.documents.sqlite_file import open_sqlite, storage_errors


class EmbeddingCache:
    """Vectors by the hash of model, dimensions, kind of input and text."""

    def __init__(self, path: Path) -> None:
        self._path, self._connection = path, open_sqlite(path)
        table = "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        with storage_errors(path):
            self._connection.execute(table)

    @staticmethod
    def key(space: str, input_type: str, text: str) -> bytes:
        """Return a text's key. `space` names model and dimensions."""
        return hashlib.sha256(f"{space}\0{input_type}\0{text}".encode()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors that are there."""
        found = {}
        with storage_errors(self._path):
            for key in keys:
                if row := self._connection.execute("SELECT vector FROM embeddings WHERE key = ?", (key,)).fetchone():
                    found[key] = np.frombuffer(row[0], np.float16).astype(np.float32)
        return found

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors."""
        rows = [(key, vector.astype(np.float16).tobytes()) for key, vector in vectors.items()]
        with storage_errors(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
