"""The project's documents, as its settings have them: searched, asked and indexed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from ai_base.documents.ask import DocumentAnswer, ask_documents
from ai_base.documents.build import Builder
from ai_base.documents.cache import EmbeddingCache
from ai_base.documents.embeddings import Embeddings
from ai_base.documents.errors import IndexStorageError
from ai_base.documents.index import Index, Passage
from ai_base.documents.repository import DocumentRepository
from ai_base.documents.settings import DocumentsSettings
from ai_base.documents.sqlite_index import SQLiteIndex
from ai_base.documents.worker import ParsingWorker
from ai_base.llm.gateway.gateway import Gateway
from ai_base.settings import load_settings


@dataclass
class Documents:
    """A repository of documents, their index, and the gateway that is asked about them."""

    settings: DocumentsSettings
    gateway: Gateway
    repository: DocumentRepository
    index: Index
    embeddings: Embeddings

    @classmethod
    @asynccontextmanager
    async def open(cls, gateway: Gateway) -> AsyncIterator["Documents"]:
        """Open the index. Where everything is comes from `DocumentsSettings`.

        Raises:
            ConfigError: `config/llm.toml` names no embedding model.
            IndexMismatchError: The index holds embeddings of another model.
            IndexStorageError: The index cannot be opened.
        """
        settings = load_settings(DocumentsSettings)
        with closing(EmbeddingCache(settings.cache_file)) as cache:
            embeddings = Embeddings(gateway, cache, dimensions=settings.documents_dimensions)
            repository = DocumentRepository(settings.location, max_bytes=settings.documents_max_bytes)
            with closing(open_index(settings, embeddings.space)) as index:
                yield cls(settings, gateway, repository, index, embeddings)

    def builder(self, worker: ParsingWorker) -> Builder:
        """Return a builder that brings the index up to date."""
        tokens, glob = self.settings.documents_chunk_tokens, self.settings.documents_glob
        return Builder(self.repository, self.index, self.embeddings.embed_documents, worker, tokens, glob)

    async def search(self, question: str, limit: int = 5, vector_weight: float | None = None) -> list[Passage]:
        """Return the passages that fit a question best. Raises as `Embeddings.embed`.

        `vector_weight` is how much the ranking by vector counts next to the one by words; by default as the model asks.
        """
        vector = await self.embeddings.embed_question(question)
        weight = self.embeddings.weight if vector_weight is None else vector_weight
        return await asyncio.to_thread(self.index.search, question, vector, limit, weight)

    async def recall(self, sections: Mapping[str, str], vector_weight: float | None = None) -> float:
        """Return the share of the questions whose section, `path > headings`, is among the first five passages."""
        found = 0
        for question, section in sections.items():
            passages = await self.search(question, vector_weight=vector_weight)
            found += section in [each.place for each in passages if each.score]
        return found / max(1, len(sections))

    async def ask(self, question: str) -> DocumentAnswer:
        """Answer a question with citations. Raises as `ask_documents`."""
        return await ask_documents(self.gateway, self.search, question)


def open_index(settings: DocumentsSettings, model: str) -> Index:
    """Open the index that the settings name, for embeddings of this model. Raises as `Documents.open`."""
    recipe = f"1, {settings.documents_chunk_tokens} tokens"
    if settings.index_file:
        return SQLiteIndex(settings.index_file, model, recipe)
    try:
        from ai_base.documents.postgres_index import PostgresIndex  # noqa: PLC0415 - needs an extra
    except ImportError:
        raise IndexStorageError('PostgreSQL needs its driver: uv add "ai-base[postgres]"') from None
    return PostgresIndex(settings.documents_index.get_secret_value(), model, recipe)
