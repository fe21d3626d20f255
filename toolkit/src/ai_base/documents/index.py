"""The index: chunks with their vectors in an SQL database, searched by full text and by vector.

What SQLite and PostgreSQL have in common is here; `sqlite_index` and `postgres_index` add what differs.
"""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ai_base.documents.chunks import Chunk
from ai_base.documents.errors import EmbeddingError, IndexMismatchError
from ai_base.documents.hashing import Vectors
from ai_base.documents.repository import Known

RANK_OFFSET = 60
"""Of reciprocal rank fusion (Cormack et al., 2009): how little the first places stand out."""
MOST_WORDS = 64
"""Of a question that are searched."""
RANKED_ROWS = 5000
"""Most chunks that a search by words ranks, some 2 us each. The rarest words are searched first."""
CANDIDATES = 50
"""Of each ranking that are merged."""

TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    path TEXT PRIMARY KEY, etag TEXT NOT NULL, digest TEXT NOT NULL, recipe TEXT NOT NULL, problem TEXT NOT NULL
);
"""

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_CJK_LETTER = re.compile(f"([{_CJK}])")
_CJK_RUN_OR_WORD = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+")

type Execute = Callable[..., list[tuple[Any, ...]]]
"""`execute(sql, parameters)` returns the rows. A parameter is a `?`, whatever the database."""


@dataclass(frozen=True)
class Passage:
    """A chunk that was found; a higher score is better."""

    chunk: Chunk
    score: float

    @property
    def place(self) -> str:
        """The document's path and the headings above the passage."""
        return " > ".join(filter(None, [self.chunk.path, self.chunk.headings]))


@dataclass(frozen=True)
class IndexStatus:
    """What an index holds. `unreadable` are documents without text, with the reason."""

    documents: int
    chunks: int
    model: str
    unreadable: dict[str, str]


class Index(ABC):
    """Where chunks are kept and searched. Threads and processes share it.

    `model` is checked against the one that the index was built with. `recipe` names how documents are cut; where it
    differs, they are indexed again.
    """

    schema: ClassVar[str]
    """Statements that create what is missing."""
    chunk_key: ClassVar[str]
    """The column that the rankings name a chunk by."""

    def __init__(self, place: str, model: str, recipe: str) -> None:
        self._model, self._recipe, self._lock = model, recipe, threading.RLock()
        try:
            self._prepare(place)
        except BaseException:
            self.close()
            raise

    def _prepare(self, place: str) -> None:
        with self.transaction() as execute:
            for statement in self.schema.split(";"):
                execute(statement)
            execute("INSERT INTO settings VALUES ('model', ?) ON CONFLICT DO NOTHING", (self._model,))
            if (found := self._setting(execute, "model")) != self._model:
                raise IndexMismatchError(place, found, self._model)

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Execute]:
        """Make what the block does one transaction; inside of another one, a part of it.

        Raises:
            IndexStorageError: The database fails.
        """
        with self._lock, self._transaction(write=write) as execute:
            yield execute

    def known(self) -> dict[str, Known]:
        """Return what is remembered of each document; without ETag and digest where it must be read again."""
        with self.transaction(write=False) as execute:
            rows = execute("SELECT path, etag, digest, recipe FROM documents")
        return {
            path: Known(etag, digest) if recipe == self._recipe else Known("", "")
            for path, etag, digest, recipe in rows
        }

    def replace(self, path: str, known: Known, chunks: Sequence[Chunk], vectors: Vectors, problem: str = "") -> None:
        """Put a document in the place of its earlier version. `problem` says why it has no text.

        Raises:
            EmbeddingError: The number or the dimensions of the vectors are wrong.
        """
        if len(chunks) != len(vectors):
            raise EmbeddingError(f"{path}: {len(vectors)} vectors for {len(chunks)} chunks")
        with self.transaction() as execute:
            self._delete(execute, path)
            row = (path, known.etag, known.digest, self._recipe, problem)
            execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", row)
            if chunks:
                self._check_dimensions(execute, vectors.shape[1])
                self._add_chunks(execute, chunks, vectors)

    def touch(self, path: str, known: Known) -> None:
        """Note a new ETag of an unchanged document."""
        with self.transaction() as execute:
            execute("UPDATE documents SET etag = ? WHERE path = ?", (known.etag, path))

    def remove(self, path: str) -> None:
        """Delete a document."""
        with self.transaction() as execute:
            self._delete(execute, path)

    def search(self, question: str, vector: Vectors, limit: int, vector_weight: float = 1.0) -> list[Passage]:
        """Return the best passages, best first.

        Raises:
            EmbeddingError: The vector has other dimensions than the index.
        """
        number = max(limit, CANDIDATES)
        with self.transaction(write=False) as execute:
            dimensions = int(self._setting(execute, "dimensions") or 0)
            if not dimensions:
                return []
            if vector.shape != (dimensions,):
                raise EmbeddingError(f"a question of {vector.size} dimensions for an index of {dimensions}")
            by_words, by_vector = self._by_words(execute, question, number), self._by_vector(execute, vector, number)
            best = fuse(by_words, by_vector, vector_weight)[:limit]
            columns = f"SELECT id, path, headings, text FROM chunks WHERE {self.chunk_key} = ?"  # noqa: S608
            return [Passage(Chunk(*execute(columns, (key,))[0]), score) for key, score in best]

    def status(self) -> IndexStatus:
        """Return what the index holds."""
        with self.transaction(write=False) as execute:
            ((documents, chunks),) = execute("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)")
            problems = dict(execute("SELECT path, problem FROM documents WHERE problem != ''"))
        return IndexStatus(documents, chunks, self._model, problems)

    @abstractmethod
    def close(self) -> None:
        """Close the database."""

    # ---- What a database adds ----

    @abstractmethod
    def _transaction(self, *, write: bool) -> AbstractContextManager[Execute]:
        """See `transaction`."""

    @abstractmethod
    def _add_chunks(self, execute: Execute, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Insert the chunks of a document."""

    @abstractmethod
    def _count(self, execute: Execute, term: str, most: int) -> int:
        """Return how many chunks hold a term of `search_terms`, at most `most`."""

    @abstractmethod
    def _ranked(self, execute: Execute, terms: list[str], operator: str, number: int) -> list[Any]:
        """Return the keys of the best chunks that hold all terms (AND), or one of them (OR)."""

    @abstractmethod
    def _by_vector(self, execute: Execute, vector: Vectors, number: int) -> list[Any]:
        """Return the keys of the nearest chunks, nearest first."""

    # ---- Inside of a transaction ----

    def _setting(self, execute: Execute, name: str) -> str:
        found = execute("SELECT value FROM settings WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    def _delete(self, execute: Execute, path: str) -> None:
        execute("DELETE FROM chunks WHERE path = ?", (path,))
        execute("DELETE FROM documents WHERE path = ?", (path,))

    def _check_dimensions(self, execute: Execute, got: int) -> None:
        execute("INSERT INTO settings VALUES ('dimensions', ?) ON CONFLICT DO NOTHING", (str(got),))
        if (known := self._setting(execute, "dimensions")) != str(got):
            raise EmbeddingError(f"vectors of {got} dimensions for an index of {known}")

    def _by_words(self, execute: Execute, question: str, number: int) -> list[Any]:
        """Search the rarest words; all of them together where each is too common."""
        counted = [(self._count(execute, term, RANKED_ROWS + 1), term) for term in search_terms(question)]
        left = RANKED_ROWS
        rare: list[str] = []
        common: list[str] = []
        for matches, term in sorted(each for each in counted if each[0]):
            left -= matches
            (rare if left >= 0 else common).append(term)
        if rare:
            return self._ranked(execute, rare, "OR", number)
        return self._ranked(execute, common, "AND", number) if common else []


def fuse(by_words: Sequence[Any], by_vector: Sequence[Any], vector_weight: float) -> list[tuple[Any, float]]:
    """Merge two rankings by their reciprocal ranks, best first."""
    scores: dict[Any, float] = {}
    for ranking, weight in ((by_words, 1.0), (by_vector, vector_weight)):
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + weight / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda item: -item[1])


def searchable(text: str) -> str:
    """Put spaces around Chinese, Japanese and Korean letters: a tokenizer would take a sentence for one word."""
    return _CJK_LETTER.sub(r" \1 ", text)


def search_terms(question: str) -> list[str]:
    """Return the words of a question, and each two neighbours of Chinese, Japanese and Korean letters."""
    terms: list[str] = []
    for run in _CJK_RUN_OR_WORD.findall(question):
        if _CJK_LETTER.match(run) and len(run) > 1:
            terms += [f"{first} {second}" for first, second in pairwise(run)]
        else:
            terms.append(run)
    return list(dict.fromkeys(terms))[:MOST_WORDS]
