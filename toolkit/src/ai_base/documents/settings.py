"""Where an application's documents are, and how they are indexed. Relative paths start at the project's root."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_base.settings import find_root


class DocumentsSettings(BaseSettings):
    """Each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    documents_url: str = "documents"
    """A folder, or the URL of an object store, such as s3://bucket/prefix."""
    documents_glob: str = "*"
    """Which of the documents, such as `*.md`."""
    documents_index: SecretStr = SecretStr("documents.db")
    """The index: a SQLite file, or postgresql://user:password@host/name of a PostgreSQL with pgvector."""
    documents_max_bytes: Annotated[int, Field(ge=1)] = 20_000_000
    """Larger documents are left out."""
    documents_chunk_tokens: Annotated[int, Field(ge=20)] = 300
    """Longest chunk."""
    documents_dimensions: Annotated[int, Field(ge=1)] | None = None
    """Of the vectors; by default the embedding model's own."""
    documents_left_out: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the documents that may be unreadable; `documents index` fails above it."""

    @property
    def location(self) -> str:
        """`documents_url`, with the absolute path of a folder."""
        return self.documents_url if "://" in self.documents_url else str(find_root() / self.documents_url)

    @property
    def index_file(self) -> Path | None:
        """Absolute path of `documents_index`; None if it is a URL."""
        place = self.documents_index.get_secret_value()
        return None if "://" in place else find_root() / place

    @property
    def cache_file(self) -> Path:
        """Absolute path of the cache of embeddings: beside the index's file, or at the root."""
        return (self.index_file or find_root() / "documents.db").with_name("embeddings.db")
