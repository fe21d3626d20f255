"""The index's interface: chunks with their vectors, searched by full text and by vector."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from ai_base.documents.chunks import Chunk
from ai_base.documents.hashing import Vectors
from ai_base.documents.repository import Known

RANK_OFFSET = 60
"""Of reciprocal rank fusion (Cormack et al., 2009): how little the first places stand out."""
MOST_WORDS = 64
"""Of a question that are searched."""

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_CJK_LETTER = re.compile(f"([{_CJK}])")
_CJK_RUN_OR_WORD = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+")


@dataclass(frozen=True)
class Passage:
    """A chunk that was found; a higher score is better."""

    chunk: Chunk
    score: float


@dataclass(frozen=True)
class IndexStatus:
    """What an index holds. `unreadable` are documents without text, with the reason."""

    documents: int
    chunks: int
    model: str
    dimensions: int
    unreadable: dict[str, str]


class WritableIndex(Protocol):
    """What a build uses of an index. Each method that writes is one transaction."""

    def known(self) -> dict[str, Known]:
        """Return what is remembered of each document; without ETag and digest where it must be read again."""

    def replace(self, path: str, known: Known, chunks: Sequence[Chunk], vectors: Vectors, problem: str = "") -> None:
        """Put a document in the place of its earlier version. `problem` says why it has no text."""

    def touch(self, path: str, known: Known) -> None:
        """Note a new ETag of an unchanged document."""

    def remove(self, path: str) -> None:
        """Delete a document."""

    def status(self) -> IndexStatus:
        """Return what the index holds."""


class Index(WritableIndex, Protocol):
    """Where the chunks are kept, and searched."""

    def search(self, question: str, vector: Vectors, limit: int, vector_weight: float = 1.0) -> list[Passage]:
        """Return the best passages, best first."""

    def close(self) -> None:
        """Close the database."""


def fuse(by_words: Sequence[int], by_vector: Sequence[int], vector_weight: float) -> list[tuple[int, float]]:
    """Merge two rankings by their reciprocal ranks, best first."""
    scores: dict[int, float] = {}
    for ranking, weight in ((by_words, 1.0), (by_vector, vector_weight)):
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + weight / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda item: -item[1])


def searchable(text: str) -> str:
    """Put spaces around Chinese, Japanese and Korean letters: the tokenizer would take a sentence for one word."""
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
