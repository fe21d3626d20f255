"""Brings an index up to date with a repository. A build that is stopped goes on where it was."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ai_base.documents.chunks import Chunk, split
from ai_base.documents.errors import TooManyUnreadableError, UnreadableError
from ai_base.documents.hashing import Vectors
from ai_base.documents.index import Index, IndexStatus, WritableIndex
from ai_base.documents.repository import Change, DocumentRepository, Known
from ai_base.documents.worker import ParsingWorker

BATCH = 256
"""Chunks that are embedded at once."""

type Embed = Callable[[list[str]], Awaitable[Vectors]]
"""Returns one vector of length 1 for each text."""


@dataclass
class BuildReport:
    """What a build did, while it runs and at its end."""

    indexed: int = 0
    """Documents that are new or changed."""
    chunks: int = 0
    touched: int = 0
    removed: int = 0
    documents: int = 0
    """Documents in the repository; known at the end."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Documents that are not in the index, or whose new version is not, with the reason."""

    def require_coverage(self, allowed: float) -> None:
        """Raise if a larger share of the documents is left out than is allowed.

        Raises:
            TooManyUnreadableError: It is.
        """
        if len(self.left_out) > allowed * self.documents:
            path, reason = next(iter(self.left_out.items()))
            raise TooManyUnreadableError(len(self.left_out), self.documents, allowed, f"{path!r}: {reason}")


@dataclass
class Builder:
    """Indexes what is new or changed in a repository, and removes what is gone. Each document is one transaction.

    A document that cannot be parsed is remembered with the reason, and left out until it changes. One that cannot be
    accessed keeps its earlier version in the index, and is tried again by the next build.
    """

    repository: DocumentRepository
    index: WritableIndex
    embed: Embed
    worker: ParsingWorker
    tokens: int = 300
    """Of a chunk, at most."""
    glob: str = "*"
    on_progress: Callable[[BuildReport], None] = lambda _: None
    report: BuildReport = field(default_factory=BuildReport, init=False)
    _waiting: list[tuple[str, Known, list[Chunk]]] = field(default_factory=list, init=False)

    async def run(self) -> BuildReport:
        """Bring the index up to date.

        Raises:
            LocationError: The repository cannot be listed, or is empty. Nothing is removed then.
        """
        known = self.index.known()
        inaccessible: dict[str, str] = {}
        async for change in self.repository.changes(known, self.glob):
            if change.kind == "unread":
                inaccessible[change.path] = change.problem
            else:
                await self._apply(change)
            if sum(len(chunks) for _, _, chunks in self._waiting) >= BATCH:
                await self._write()
            self.on_progress(self.report)
        await self._write()
        status = self.index.status()
        self.report.left_out = {**status.unreadable, **inaccessible}
        self.report.documents = status.documents + len(inaccessible.keys() - known.keys())
        self.on_progress(self.report)
        return self.report

    async def _apply(self, change: Change) -> None:
        path, version = change.path, Known(change.etag, change.digest)
        if change.kind == "gone":
            self.index.remove(path)
            self.report.removed += 1
        elif change.kind == "touched":
            self.index.touch(path, version)
            self.report.touched += 1
        else:
            try:
                markdown = await self.worker.parse(path, change.content)
            except UnreadableError as error:
                self.index.replace(path, version, [], np.empty((0, 0), np.float32), error.reason)
            else:
                self._waiting.append((path, version, split(path, markdown, self.tokens)))

    async def _write(self) -> None:
        """Embed all waiting chunks at once, and write the documents one by one."""
        texts = [chunk.embedded_text for _, _, chunks in self._waiting for chunk in chunks]
        vectors = await self.embed(texts) if texts else np.empty((0, 0), np.float32)
        position = 0
        for path, version, chunks in self._waiting:
            self.index.replace(path, version, chunks, vectors[position : position + len(chunks)])
            position += len(chunks)
            self.report.indexed += 1
            self.report.chunks += len(chunks)
        self._waiting.clear()


@dataclass
class DryRun:
    """An index that a builder can write to without effect. It sums up what would be embedded."""

    index: Index
    missing: Callable[[list[str]], list[str]]
    """Returns the texts that are not in the cache."""
    texts: int = 0
    size: int = 0
    """In bytes."""
    unreadable: dict[str, str] = field(default_factory=dict)

    async def embed(self, texts: list[str]) -> Vectors:
        """Count the texts that would be sent; return placeholders."""
        missing = self.missing(texts)
        self.texts += len(missing)
        self.size += sum(len(text.encode()) for text in missing)
        return np.zeros((len(texts), 1), np.float32)

    def known(self) -> dict[str, Known]:
        """Return what the index remembers."""
        return self.index.known()

    def replace(self, path: str, known: Known, chunks: Sequence[Chunk], vectors: Vectors, problem: str = "") -> None:
        """Note a document that cannot be read."""
        del known, chunks, vectors
        if problem:
            self.unreadable[path] = problem

    def touch(self, *_: object) -> None:
        """Do nothing."""

    def remove(self, *_: object) -> None:
        """Do nothing."""

    def status(self) -> IndexStatus:
        """Return what the index holds."""
        return self.index.status()
