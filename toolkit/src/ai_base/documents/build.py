"""Brings an index up to date with a repository. A build that is stopped goes on where it was."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np

from ai_base.documents.chunks import Chunk, split
from ai_base.documents.errors import TooManyUnreadableError, UnreadableError
from ai_base.documents.hashing import Vectors
from ai_base.documents.index import Index
from ai_base.documents.repository import Change, DocumentRepository, Known
from ai_base.documents.worker import ParsingWorker

BATCH = 1024
"""Chunks that are embedded at once, and written in one transaction."""

type Embed = Callable[[list[str]], Awaitable[Vectors]]
"""Returns one vector of length 1 for each text."""


@dataclass
class BuildReport:
    """What a build did, while it runs and at its end."""

    indexed: int = 0
    """Documents that are new or changed."""
    chunks: int = 0
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
class BuildPlan(BuildReport):
    """What a build would do; nothing is embedded or written."""

    texts: int = 0
    """Texts that would be sent to the embedding model."""
    size: int = 0
    """Of these texts, in bytes."""


@dataclass
class Builder:
    """Indexes what is new or changed in a repository, and removes what is gone. No document is ever half-written.

    A document that cannot be parsed is remembered with the reason, and left out until it changes. One that cannot be
    accessed keeps its earlier version in the index, and is tried again by the next build.
    """

    repository: DocumentRepository
    index: Index
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
        async for change, chunks in self._parsed(known):
            path, version = change.path, Known(change.etag, change.digest)
            if chunks:
                self._waiting.append((path, version, chunks))
            elif change.kind == "gone":
                self.index.remove(path)
                self.report.removed += 1
            elif change.kind == "touched":
                self.index.touch(path, version)
            elif change.kind == "unread":
                inaccessible[path] = change.problem
            else:
                self.index.replace(path, version, [], np.empty((0, 0), np.float32), change.problem)
            if sum(len(chunks) for _, _, chunks in self._waiting) >= BATCH:
                await self._write()
            self.on_progress(self.report)
        await self._write()
        status = self.index.status()
        self.report.left_out = {**status.unreadable, **inaccessible}
        self.report.documents = status.documents + len(inaccessible.keys() - known.keys())
        self.on_progress(self.report)
        return self.report

    async def plan(self, missing: Callable[[list[str]], list[str]]) -> BuildPlan:
        """Return what `run` would do. `missing` selects the texts that would be sent to the embedding model."""
        plan = BuildPlan(left_out=self.index.status().unreadable)
        async for change, chunks in self._parsed(self.index.known()):
            plan.left_out.pop(change.path, None)
            if change.problem:
                plan.left_out[change.path] = change.problem
            texts = missing([chunk.embedded_text for chunk in chunks])
            plan.indexed += bool(chunks)
            plan.chunks += len(chunks)
            plan.texts += len(texts)
            plan.size += sum(len(text.encode()) for text in texts)
        return plan

    async def _parsed(self, known: Mapping[str, Known]) -> AsyncGenerator[tuple[Change, list[Chunk]]]:
        """Yield the changes; the new and changed documents with their chunks, or with the problem."""
        async with aclosing(self.repository.changes(known, self.glob)) as changes:
            async for change in changes:
                chunks: list[Chunk] = []
                problem = change.problem
                if change.kind in ("new", "changed"):
                    try:
                        chunks = split(change.path, await self.worker.parse(change.path, change.content), self.tokens)
                        problem = "" if chunks else "there is no text below its headings"
                    except UnreadableError as error:
                        problem = error.reason
                yield replace(change, problem=problem, content=b""), chunks

    async def _write(self) -> None:
        """Embed all waiting chunks at once, and write their documents in one transaction."""
        if not self._waiting:
            return
        vectors = await self.embed([chunk.embedded_text for _, _, chunks in self._waiting for chunk in chunks])
        with self.index.transaction():
            position = 0
            for path, version, chunks in self._waiting:
                self.index.replace(path, version, chunks, vectors[position : position + len(chunks)])
                position += len(chunks)
        self.report.indexed += len(self._waiting)
        self.report.chunks += position
        self._waiting.clear()
